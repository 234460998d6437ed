package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// memory is a file in memory.
type memory struct {
	p     []byte
	at    int64
	limit int // bytes it takes; 0: any number
}

var errFullDisk = errors.New("disk full")

func (m *memory) Write(p []byte) (int, error) {
	if m.limit > 0 && int(m.at)+len(p) > m.limit {
		return 0, errFullDisk
	}
	if end := int(m.at) + len(p); end > len(m.p) {
		m.p = append(m.p, make([]byte, end-len(m.p))...)
	}
	m.at += int64(copy(m.p[m.at:], p))
	return len(p), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		m.at = offset
	case io.SeekCurrent:
		m.at += offset
	default:
		m.at = int64(len(m.p)) + offset
	}
	return m.at, nil
}

// chunk is a RIFF chunk, padded.
func chunk(id string, body ...byte) string {
	p := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	p = append(p, body...)
	if len(body)%2 == 1 {
		p = append(p, 0)
	}
	return string(p)
}

func file(chunks ...string) string { return "RIFF\x00\x00\x00\x00WAVE" + strings.Join(chunks, "") }

// pcm16 is a format chunk's body.
func pcm16(tag, channels uint16, rate uint32, bits uint16, more ...byte) []byte {
	le := binary.LittleEndian
	p := le.AppendUint16(nil, tag)
	p = le.AppendUint16(p, channels)
	p = le.AppendUint32(p, rate)
	p = le.AppendUint32(p, rate*uint32(channels)*2)
	p = le.AppendUint16(p, channels*2)
	p = le.AppendUint16(p, bits)
	return append(p, more...)
}

func extension(guid string) []byte {
	return append([]byte{22, 0, 16, 0, 4, 0, 0, 0}, guid...)
}

func readAll(r *Reader) ([]int16, error) {
	var all []int16
	p := make([]int16, 100)
	for {
		n, err := r.ReadPCM(p)
		all = append(all, p[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func TestReader(t *testing.T) {
	mono8k := chunk("fmt ", pcm16(1, 1, 8000, 16)...)
	for _, c := range []struct {
		name, file string
		channels   int
		want       []int16
	}{
		{"plain", file(mono8k, chunk("data", 1, 0, 0xFF, 0xFF)), 1, []int16{1, -1}},
		{"stereo", file(chunk("fmt ", pcm16(1, 2, 44100, 16)...), chunk("data", 1, 0, 2, 0)), 2, []int16{1, 2}},
		{"no samples", file(mono8k, chunk("data")), 1, nil},
		{"extensible PCM", file(chunk("fmt ", pcm16(0xFFFE, 1, 16000, 16, extension(pcmGUID)...)...), chunk("data", 1, 0)), 1, []int16{1}},
		{"format of 18 bytes", file(chunk("fmt ", pcm16(1, 1, 8000, 16, 0, 0)...), chunk("data", 1, 0)), 1, []int16{1}},
		{"other chunks, odd ones padded", file(chunk("LIST", 1, 2, 3), mono8k, chunk("fact", 4, 5, 6, 7, 8), chunk("data", 1, 0)), 1, []int16{1}},
		{"a chunk after the samples", file(mono8k, chunk("data", 1, 0), chunk("LIST", 9, 9)), 1, []int16{1}},
		{"streamed: size 0xFFFFFFFF", file(mono8k, "data\xff\xff\xff\xff\x01\x00\x02\x00"), 1, []int16{1, 2}},
		{"streamed: size 0", file(mono8k, "data\x00\x00\x00\x00\x01\x00\x02\x00"), 1, []int16{1, 2}},
		{"cut short", file(mono8k, "data\x08\x00\x00\x00\x01\x00\x02\x00\x03"), 1, []int16{1, 2}},
		{"an odd number of bytes", file(mono8k, chunk("data", 1, 0, 2)), 1, []int16{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{
				"whole": strings.NewReader(c.file),
				"bytes": iotest.OneByteReader(strings.NewReader(c.file)),
				"early": iotest.DataErrReader(strings.NewReader(c.file)),
			} {
				r, err := NewReader(in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := readAll(r)
				if err != nil || !slices.Equal(got, c.want) || r.Channels() != c.channels {
					t.Errorf("%s: got %v, %d channels, %v; want %v, %d", name, got, r.Channels(), err, c.want, c.channels)
				}
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	data := chunk("data", 1, 0)
	for _, c := range []struct{ name, file, want string }{
		{"nothing", "", "it ends before the header"},
		{"text", "hello, this is not sound", `it begins with "hello, this "`},
		{"only a header", file(), "it ends before the samples"},
		{"samples first", file(data), "the samples come before their format"},
		{"float", file(chunk("fmt ", pcm16(3, 1, 8000, 32)...), data), "its encoding is 0x3"},
		{"mu-law", file(chunk("fmt ", pcm16(7, 1, 8000, 8)...), data), "its encoding is 0x7"},
		{"extensible float", file(chunk("fmt ", pcm16(0xFFFE, 1, 8000, 16, extension("\x03"+pcmGUID[1:])...)...), data), "its encoding is 0xfffe"},
		{"8 bits", file(chunk("fmt ", pcm16(1, 1, 8000, 8)...), data), "it has 8 bits per sample"},
		{"5.1", file(chunk("fmt ", pcm16(1, 6, 48000, 16)...), data), "it has 6 channels"},
		{"4 kHz", file(chunk("fmt ", pcm16(1, 1, 4000, 16)...), data), "it has 4000 samples a second"},
		{"short format", file(chunk("fmt ", 1, 0), data), "its format has 2 bytes"},
		{"huge format", file("fmt \xff\xff\xff\x7f"), "its format has 2147483647 bytes"},
		{"two formats", file(chunk("fmt ", pcm16(1, 1, 8000, 16)...), chunk("fmt ", pcm16(1, 1, 8000, 16)...), data), "it has two formats"},
		{"a huge chunk", file("LIST\xff\xff\xff\xff"), "more than 1048576 bytes before the samples"},
		{"chunks without end", file(strings.Repeat(chunk("junk"), 100)), "more than 64 chunks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(c.file))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrFormat with %q", err, c.want)
			}
		})
	}
	broken := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(file())))
	if _, err := NewReader(broken); !errors.Is(err, iotest.ErrTimeout) || errors.Is(err, ErrFormat) {
		t.Errorf("a reader's own error became %v", err)
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	head := file(chunk("fmt ", pcm16(1, 1, 8000, 16)...), "data\x10\x00\x00\x00\x01\x00")
	r, err := NewReader(io.MultiReader(strings.NewReader(head), iotest.ErrReader(errFullDisk)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(r)
	if !errors.Is(err, errFullDisk) || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWriter(t *testing.T) {
	var f memory
	f.p, f.at = []byte("before"), 6
	w, err := NewWriter(&f, 16000, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]int16, 10000)
	for i := range want {
		want[i] = int16(i * 31)
	}
	for p := range slices.Chunk(want, 777) {
		if n, err := w.WritePCM(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	check := func(state string) {
		t.Helper()
		r, err := NewReader(bytes.NewReader(f.p[6:]))
		if err != nil {
			t.Fatal(state, err)
		}
		got, err := readAll(r)
		if err != nil || !slices.Equal(got, want) || r.Rate() != 16000 || r.Channels() != 2 {
			t.Errorf("%s: read back %d samples, %v", state, len(got), err)
		}
	}
	check("abandoned before Close")
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check("closed")
	if riff := binary.LittleEndian.Uint32(f.p[10:]); int(riff) != len(f.p)-6-8 {
		t.Errorf("the RIFF size is %d of %d bytes", riff, len(f.p)-6)
	}
	if f.at != int64(len(f.p)) {
		t.Errorf("Close left the position at %d of %d", f.at, len(f.p))
	}
	if _, err := w.WritePCM(want); !errors.Is(err, net.ErrClosed) {
		t.Errorf("WritePCM after Close: %v", err)
	}
}

func TestWriterErrors(t *testing.T) {
	for _, c := range [][2]int{{16000, 0}, {16000, 3}, {0, 1}, {-1, 1}, {1 << 30, 1}} {
		if _, err := NewWriter(&memory{}, c[0], c[1]); err == nil {
			t.Errorf("NewWriter takes %v", c)
		}
	}
	f := &memory{limit: 1000}
	w, err := NewWriter(f, 8000, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.WritePCM(make([]int16, 1000)); !errors.Is(err, errFullDisk) {
			t.Errorf("got %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Errorf("the header of what could be written: %v", err)
	}
	w, err = NewWriter(&memory{}, 8000, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.size = 1<<32 - 100
	if _, err := w.WritePCM(make([]int16, 100)); !errors.Is(err, ErrTooLong) {
		t.Errorf("over 4 GiB: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	mono8k := chunk("fmt ", pcm16(1, 1, 8000, 16)...)
	f.Add([]byte(file(mono8k, chunk("data", 1, 0, 2, 0))))
	f.Add([]byte(file(chunk("LIST", 1, 2, 3), mono8k, "data\xff\xff\xff\xff\x01\x00\x02")))
	f.Add([]byte(file(chunk("fmt ", pcm16(0xFFFE, 1, 16000, 16, extension(pcmGUID)...)...), chunk("data", 1, 0))))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := NewReader(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is not ErrFormat", err)
			}
			return
		}
		pcm, err := readAll(r)
		if err != nil || 2*len(pcm) > len(in) {
			t.Fatalf("%d samples of %d bytes, %v", len(pcm), len(in), err)
		}
		var m memory
		w, err := NewWriter(&m, r.Rate(), r.Channels())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WritePCM(pcm); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := NewReader(bytes.NewReader(m.p))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(again); err != nil || !slices.Equal(got, pcm) {
			t.Fatalf("what was written reads differently: %v", err)
		}
	})
}

func BenchmarkReadPCM(b *testing.B) {
	in := strings.NewReader("")
	long := file(chunk("fmt ", pcm16(1, 1, 16000, 16)...), chunk("data", make([]byte, 32000)...))
	p := make([]int16, 320)
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(long)
		r, err := NewReader(in)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.ReadPCM(p)
		}
	}
}

func BenchmarkWritePCM20ms(b *testing.B) {
	var m memory
	w, err := NewWriter(&m, 16000, 1)
	if err != nil {
		b.Fatal(err)
	}
	p := make([]int16, 320)
	b.ReportAllocs()
	for b.Loop() {
		m.at, w.size = headerSize, 0
		if _, err := w.WritePCM(p); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	m := memory{p: make([]byte, 0, 1<<20)}
	w, err := NewWriter(&m, 16000, 1)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.NewReader(file(chunk("fmt ", pcm16(1, 1, 16000, 16)...), chunk("data", make([]byte, 200000)...)))
	r, err := NewReader(long)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]int16, 320)
	if n := testing.AllocsPerRun(100, func() {
		m.at, m.p = headerSize, m.p[:headerSize+640]
		if _, err := r.ReadPCM(p); err != nil {
			t.Fatal(err)
		}
		if _, err := w.WritePCM(p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func ExampleReader() {
	var f memory // or an *os.File
	w, err := NewWriter(&f, 16000, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err = w.WritePCM([]int16{1, 2, 3}); err == nil {
		err = w.Close()
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	r, err := NewReader(bytes.NewReader(f.p))
	if err != nil {
		fmt.Println(err)
		return
	}
	p := make([]int16, 10)
	n, err := r.ReadPCM(p)
	fmt.Println(r.Rate(), p[:n], err)
	// Output: 16000 [1 2 3] <nil>
}
