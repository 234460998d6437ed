package sip

import (
	"hash/maphash"
	"time"
)

const maxRecent = 1 << 17 // keys in each half; ours

// recent remembers keys for 64*T1 to twice that, in eight bytes each, or less long when
// there are very many: over TCP no transaction limits how many requests may come. The
// zero value is ready to use; its owner's lock guards it.
type recent struct {
	young, old map[uint64]struct{}
	turned     time.Time
}

func (r *recent) add(now time.Time, key uint64) {
	if now.Sub(r.turned) >= 64*t1 {
		r.young, r.old = nil, r.young
		if now.Sub(r.turned) >= 128*t1 {
			r.old = nil
		}
		r.turned = now
	}
	if len(r.young) >= maxRecent {
		r.young, r.old, r.turned = nil, r.young, now
	}
	if r.young == nil {
		r.young = make(map[uint64]struct{})
	}
	r.young[key] = struct{}{}
}

func (r *recent) has(now time.Time, key uint64) bool {
	age := now.Sub(r.turned)
	if _, ok := r.young[key]; ok && age < 128*t1 {
		return true
	}
	_, ok := r.old[key]
	return ok && age < 64*t1
}

// hashOf is the key of a list of strings.
func hashOf(seed maphash.Seed, parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
