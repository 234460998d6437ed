package registrar

import (
	"fmt"
	"strings"
	"testing"
)

// A forkStep is one input of the response context and what must come out, such
// as "forward", "cancel 1 2", "best 0", "" for nothing.
type forkStep struct {
	do   func(*fork) forkOutput
	want string
}

func (o forkOutput) describe() string {
	var parts []string
	if o.Forward {
		parts = append(parts, "forward")
	}
	if len(o.Cancel) > 0 {
		parts = append(parts, strings.Trim(fmt.Sprint("cancel ", o.Cancel), " ]"))
	}
	if o.Best >= 0 {
		parts = append(parts, fmt.Sprint("best ", o.Best))
	}
	return strings.ReplaceAll(strings.Join(parts, ", "), "[", "")
}

func TestRFC3261Section16_7ResponseContext(t *testing.T) {
	got := func(i, code int) func(*fork) forkOutput {
		return func(f *fork) forkOutput {
			if code < 200 {
				return f.Provisional(i, code)
			}
			return f.Final(i, code)
		}
	}
	cancel := (*fork).Cancel
	expire := func(i int) func(*fork) forkOutput { return func(f *fork) forkOutput { return f.Expire(i) } }
	for _, tt := range []struct {
		name   string
		legs   int
		invite bool
		steps  []forkStep
	}{
		{"answered", 1, true, []forkStep{
			{got(0, 100), ""},
			{got(0, 180), "forward"},
			{got(0, 200), "forward"},
			{got(0, 200), "forward"}, // its retransmission (RFC 6026)
		}},
		{"busy", 1, true, []forkStep{{got(0, 180), "forward"}, {got(0, 486), "best 0"}, {got(0, 486), ""}}},
		{"the first 2xx cancels the others, a second 2xx goes upstream too", 3, true, []forkStep{
			{got(0, 180), "forward"},
			{got(1, 180), "forward"},
			{got(1, 200), "forward, cancel 0"},
			{got(2, 180), "cancel 2"}, // after the answer, and it must not ring on
			{got(0, 200), "forward"},
			{got(2, 487), ""},
		}},
		{"a 6xx cancels the others and wins", 3, true, []forkStep{
			{got(0, 180), "forward"},
			{got(1, 603), "cancel 0"},
			{got(0, 487), ""},
			{got(2, 486), "best 1"},
		}},
		{"2xx after a 6xx", 2, true, []forkStep{{got(0, 180), "forward"}, {got(1, 603), "cancel 0"}, {got(0, 200), "forward"}}},
		{"the lowest class wins", 3, true, []forkStep{{got(0, 503), ""}, {got(1, 486), ""}, {got(2, 302), "best 2"}}},
		{"a challenge tells more than busy", 2, true, []forkStep{{got(0, 486), ""}, {got(1, 407), "best 1"}}},
		{"busy tells more than a contact that is gone", 2, true, []forkStep{{got(0, 408), ""}, {got(1, 486), "best 1"}}},
		{"4xx before 5xx", 2, true, []forkStep{{got(0, 500), ""}, {got(1, 408), "best 1"}}},
		{"CANCEL before the 100 waits for it", 2, true, []forkStep{
			{got(0, 100), ""},
			{cancel, "cancel 0"},
			{cancel, ""},
			{got(1, 100), "cancel 1"},
			{got(1, 180), "forward"},
			{got(0, 487), ""},
			{got(1, 487), "best 0"},
		}},
		{"CANCEL crosses the answer", 1, true, []forkStep{{got(0, 180), "forward"}, {cancel, "cancel 0"}, {got(0, 200), "forward"}}},
		{"16.8 timer C: CANCEL when it rings, 408 when it does not", 2, true, []forkStep{
			{got(0, 180), "forward"},
			{expire(0), "cancel 0"},
			{expire(1), ""},
			{got(0, 487), "best 0"},
		}},
		{"non-INVITE: one final response, no CANCEL", 2, false, []forkStep{
			{got(0, 200), "forward"}, {got(1, 200), ""}, {got(1, 200), ""},
		}},
		{"non-INVITE: cancel does nothing", 2, false, []forkStep{
			{cancel, ""}, {got(0, 600), ""}, {got(1, 200), "forward"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFork(tt.invite, tt.legs)
			for i, s := range tt.steps {
				if out := s.do(f).describe(); out != s.want {
					t.Fatalf("step %d: %q, want %q", i, out, s.want)
				}
			}
		})
	}
}
