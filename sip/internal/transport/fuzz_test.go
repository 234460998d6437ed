package transport

import (
	"bytes"
	"errors"
	"hash/maphash"
	"os"
	"path/filepath"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/rfc4475/*.dat")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(options))
	f.Add([]byte("\r\n\r\n"))
}

// FuzzDatagram: nothing panics, the parser itself included; what is accepted has what
// the layers above rely on; what is answered is answered with a valid response.
func FuzzDatagram(f *testing.F) {
	seeds(f)
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, raw []byte) {
		was := bytes.Clone(raw)
		p := newParser(256)
		// Straight to sipgo, without the recover of parseSIP: a panic is worth knowing.
		_, _ = p.sip.ParseSIP(raw)
		msg, d := p.parse(raw, false)
		if !bytes.Equal(raw, was) {
			t.Fatal("the message was changed in place")
		}
		if d != nil {
			if res, _ := p.head.reply(raw, d, testSource, seed); res != nil {
				if !bytes.HasPrefix(res, []byte("SIP/2.0 ")) || !bytes.HasSuffix(res, []byte("\r\n\r\n")) {
					t.Fatalf("answered with %q", res)
				}
			}
			return
		}
		if msg.Via() == nil || msg.From() == nil || msg.To() == nil || msg.CallID() == nil || msg.CSeq() == nil {
			t.Fatalf("accepted without a mandatory header: %q", raw)
		}
		if req, ok := msg.(*sipmsg.Request); ok {
			if req.Method != req.CSeq().MethodName {
				t.Fatalf("accepted with method %q and CSeq %q", req.Method, req.CSeq().MethodName)
			}
			markSource(req.Via(), testSource)
		}
		if out := Bytes(msg); bytes.Contains(out[:len(out)-len(msg.Body())], []byte("\n\n")) {
			t.Fatalf("serialised with a bare line: %q", out)
		}
	})
}

// FuzzStream: a stream gives the same messages in whatever pieces it comes, and holds no
// more than its limit.
func FuzzStream(f *testing.F) {
	seeds(f)
	f.Add([]byte(options + "\r\n\r\n" + options + options))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 8192
		cut := func(piece int) (all []string, failed error) {
			fr := framer{limit: limit}
			rest := stream
			for len(rest) > 0 {
				room := fr.space()
				n := copy(room, rest[:min(piece, len(rest))])
				rest = rest[n:]
				fr.grew(n)
				for {
					raw, _, err := fr.next()
					if err != nil {
						return all, err
					}
					if raw == nil {
						break
					}
					all = append(all, string(raw))
					_, _ = newParser(256).parse(raw, true)
				}
				if len(fr.buf) > limit+readSize*4 && piece <= readSize {
					t.Fatalf("holds %d bytes", len(fr.buf))
				}
			}
			return all, nil
		}
		whole, err := cut(len(stream) + 1)
		for _, piece := range []int{1, 3, 100} {
			got, gotErr := cut(piece)
			if (err == nil) != (gotErr == nil) && !errors.Is(err, errTooLarge) && !errors.Is(gotErr, errTooLarge) {
				t.Fatalf("in pieces of %d: %v, else %v", piece, gotErr, err)
			}
			for i := range min(len(got), len(whole)) {
				if got[i] != whole[i] {
					t.Fatalf("in pieces of %d message %d is %q, else %q", piece, i, got[i], whole[i])
				}
			}
			if err == nil && gotErr == nil && len(got) != len(whole) {
				t.Fatalf("in pieces of %d: %d messages, else %d", piece, len(got), len(whole))
			}
		}
	})
}
