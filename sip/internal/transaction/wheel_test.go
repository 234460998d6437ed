package transaction

import (
	"math/rand/v2"
	"testing"
)

// Every entry fires at exactly its tick, however far away, in whatever steps the wheel
// is advanced, and never when it was removed.
func TestWheelFiresOnTime(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var w wheel
	w.now = 62 // near a boundary
	type job struct {
		entry
		want    int64
		removed bool
		fired   int
	}
	jobs := map[*entry]*job{}
	add := func() {
		j := &job{}
		span := int64(1) << rnd.IntN(20)
		j.want = w.now + 1 + rnd.Int64N(span)
		w.add(&j.entry, j.want)
		jobs[&j.entry] = j
	}
	for range 2000 {
		add()
	}
	for e, j := range jobs {
		if rnd.IntN(10) == 0 {
			j.removed = w.remove(e)
		}
	}
	for w.now < 1<<20+100 {
		step := w.nextTick()
		if step == never {
			break
		}
		if rnd.IntN(2) == 0 { // stop in between, too
			step = w.now + 1 + rnd.Int64N(max(step-w.now, 1))
		}
		w.advance(step, func(e *entry) {
			j := jobs[e]
			j.fired++
			if w.now != j.want {
				t.Fatalf("fired at %d, want %d", w.now, j.want)
			}
			if len(jobs) < 4000 {
				add()
			}
		})
	}
	for _, j := range jobs {
		if want := 1; j.removed && j.fired != 0 || !j.removed && j.fired != want {
			t.Fatalf("entry due at %d: removed %v, fired %d times", j.want, j.removed, j.fired)
		}
	}
	if w.nextTick() != never || w.used != [levels]uint64{} {
		t.Error("the empty wheel still has something to do")
	}
}

func TestWheelPastAndFarEntries(t *testing.T) {
	var w wheel
	var past, far entry
	w.advance(1000, nil)
	w.add(&past, 5)
	w.add(&far, never)
	if got := w.nextTick(); got != 1000 {
		t.Errorf("a past entry is due at %d, want now, 1000", got)
	}
	n := 0
	w.advance(1000, func(*entry) { n++ })
	if n != 1 {
		t.Errorf("fired %d entries, want 1", n)
	}
	if !w.remove(&far) || w.remove(&far) {
		t.Error("remove must tell whether the entry was there")
	}
}

func BenchmarkWheel(b *testing.B) {
	b.ReportAllocs()
	var w wheel
	entries := make([]entry, 10000)
	for i := range entries {
		w.add(&entries[i], int64(i%32000)+1)
	}
	i := 0
	for b.Loop() {
		e := &entries[i%len(entries)]
		w.remove(e)
		w.add(e, w.now+500)
		i++
	}
}
