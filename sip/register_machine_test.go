package sip

import (
	"errors"
	"testing"
	"time"
)

// A registerStep is one input at a time after the start and what must come out.
type registerStep struct {
	at     time.Duration
	do     func(*registerMachine, time.Time) registerOutput
	send   string // the Contact values of the REGISTER; "" none
	event  string // "up 1h0m0s", "down", "down retry 15s", "up 10s retry 5s", "" none
	state  registerState
	wakeAt time.Duration // Deadline after the start; 0 none
}

const (
	regHere = "sip:bob@10.0.0.1:5060"
	regNAT  = "sip:bob@192.0.2.1:4242"
	regNAT2 = "sip:bob@192.0.2.1:4343"
)

func doStart(m *registerMachine, now time.Time) registerOutput { return m.Start(now) }
func doWake(m *registerMachine, now time.Time) registerOutput  { return m.Wake(now) }
func doLeave(m *registerMachine, now time.Time) registerOutput { return m.Unregister(now) }
func doLost(m *registerMachine, now time.Time) registerOutput  { return m.FlowLost(now, errRegTest) }

func doAgain(m *registerMachine, now time.Time) registerOutput { return m.Refresh(now) }

var errRegTest = errors.New("test")

func answers(a registerAnswer) func(*registerMachine, time.Time) registerOutput {
	if a.Code == 0 || a.Code >= 300 {
		a.Err = errRegTest
	}
	return func(m *registerMachine, now time.Time) registerOutput { return m.Answer(now, a) }
}

func regURI(s string) URI {
	u, err := ParseURI(s)
	if err != nil {
		panic(err)
	}
	return u
}

// ok is a 200 that lists the contact.
func bound(contact string, expires time.Duration) registerAnswer {
	return registerAnswer{Code: 200, Expires: -1, Bindings: []registerBinding{
		{regURI("sip:bob@198.51.100.9"), 17 * time.Second}, {regURI(contact), expires},
	}}
}

func seenAs(a registerAnswer, as string) registerAnswer {
	a.Seen = regURI(as)
	return a
}

func (s registerStep) describe(o registerOutput) (send, event string) {
	if o.Send != nil {
		send = o.Send.Contact.String() + " " + o.Send.Expires.String()
		for _, r := range o.Send.Remove {
			send += ", -" + r.String()
		}
	}
	if e := o.Event; e != nil {
		event = "down"
		if e.Registered {
			event = "up " + e.Expires.String()
		}
		if e.Retry > 0 {
			event += " retry " + e.Retry.String()
		}
	}
	return send, event
}

func TestRFC3261Section10_2RegisterMachine(t *testing.T) {
	const h = time.Hour
	refresh := h - h/10 // random is 0
	first := registerStep{0, doStart, regHere + " 1h0m0s", "", registerSending, 0}
	up := registerStep{0, answers(bound(regHere, h)), "", "up 1h0m0s", registerRegistered, refresh}
	for _, tt := range []struct {
		name  string
		steps []registerStep
	}{
		{"RFC 3261 10.2.4 refresh", []registerStep{
			first, up,
			{refresh - 1, doWake, "", "", registerRegistered, refresh},
			{refresh, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{refresh, answers(bound(regHere, h)), "", "up 1h0m0s", registerRegistered, 2 * refresh},
		}},
		{"refreshed before its time, from a new address", []registerStep{
			first, up,
			{time.Minute, doAgain, regHere + " 1h0m0s", "", registerSending, 0},
			{time.Minute, doAgain, "", "", registerSending, 0},
			{time.Minute, answers(seenAs(bound(regHere, h), regNAT)), regNAT + " 1h0m0s, -" + regHere, "", registerSending, 0},
			{time.Minute, answers(seenAs(bound(regNAT, h), regNAT)), "", "up 1h0m0s", registerRegistered, time.Minute + refresh},
		}},
		{"granted less: half of a short one, 30 s of a minute and more", []registerStep{
			first,
			{0, answers(bound(regHere, 40*time.Second)), "", "up 40s", registerRegistered, 20 * time.Second},
			{20 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{20 * time.Second, answers(bound(regHere, 100*time.Second)), "", "up 1m40s", registerRegistered, 90 * time.Second},
		}},
		{"contact compared: transport left out by the registrar", []registerStep{
			first, {0, answers(bound(regHere+";transport=udp", h)), "", "up 1h0m0s", registerRegistered, refresh},
		}},
		{"contact not listed: the Expires field", []registerStep{
			first,
			{0, answers(registerAnswer{Code: 200, Expires: 600 * time.Second}), "", "up 10m0s", registerRegistered, 540 * time.Second},
		}},
		{"nothing said: what was asked for", []registerStep{
			first, {0, answers(registerAnswer{Code: 200, Expires: -1}), "", "up 1h0m0s", registerRegistered, refresh},
		}},
		{"200 that binds nothing", []registerStep{
			first, {0, answers(bound(regHere, 0)), "", "down retry 30s", registerWaiting, 30 * time.Second},
		}},
		{"RFC 3261 10.2.8 interval too brief", []registerStep{
			first,
			{0, answers(registerAnswer{Code: 423, MinExpires: 2 * h}), regHere + " 2h0m0s", "", registerSending, 0},
			{0, answers(registerAnswer{Code: 423, MinExpires: 3 * h}), regHere + " 3h0m0s", "", registerSending, 0},
			{0, answers(registerAnswer{Code: 423, MinExpires: 4 * h}), "", "down retry 30s", registerWaiting, 30 * time.Second},
		}},
		{"423 that asks for nothing or for a year", []registerStep{
			first,
			{0, answers(registerAnswer{Code: 423, MinExpires: 8760 * h}), "", "down retry 30s", registerWaiting, 30 * time.Second},
			{30 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{30 * time.Second, answers(registerAnswer{Code: 423}), "", "down retry 1m0s", registerWaiting, 90 * time.Second},
		}},
		{"RFC 3581 contact learned, the old binding removed", []registerStep{
			first,
			{0, answers(seenAs(bound(regHere, h), regNAT)), regNAT + " 1h0m0s, -" + regHere, "", registerSending, 0},
			{0, answers(seenAs(bound(regNAT, h), regNAT)), "", "up 1h0m0s", registerRegistered, refresh},
			{refresh, doWake, regNAT + " 1h0m0s", "", registerSending, 0},
			{refresh, answers(seenAs(bound(regNAT, h), regNAT2)), regNAT2 + " 1h0m0s, -" + regNAT, "", registerSending, 0},
		}},
		{"a NAT that changes with each packet is followed twice", []registerStep{
			first,
			{0, answers(seenAs(bound(regHere, h), regNAT)), regNAT + " 1h0m0s, -" + regHere, "", registerSending, 0},
			{0, answers(seenAs(bound(regNAT, h), regNAT2)), regNAT2 + " 1h0m0s, -" + regNAT, "", registerSending, 0},
			{0, answers(seenAs(bound(regNAT2, h), regNAT)), "", "up 1h0m0s", registerRegistered, refresh},
		}},
		{"the removal is repeated until it was accepted", []registerStep{
			first,
			{0, answers(seenAs(bound(regHere, h), regNAT)), regNAT + " 1h0m0s, -" + regHere, "", registerSending, 0},
			{0, answers(registerAnswer{Code: 500}), "", "up 1h0m0s retry 30s", registerWaiting, 30 * time.Second},
			{30 * time.Second, doWake, regNAT + " 1h0m0s, -" + regHere, "", registerSending, 0},
		}},
		{"refused for good", []registerStep{first, {0, answers(registerAnswer{Code: 403}), "", "down", registerEnded, 0}}},
		{"credentials refused", []registerStep{first, {0, answers(registerAnswer{Code: 401}), "", "down", registerEnded, 0}}},
		{"unknown user", []registerStep{first, {0, answers(registerAnswer{Code: 404}), "", "down", registerEnded, 0}}},
		{"unknown user on a refresh: the registrar lost its memory", []registerStep{
			first, up,
			{refresh, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{refresh, answers(registerAnswer{Code: 404}), "", "up 6m0s retry 30s", registerWaiting, refresh + 30*time.Second},
		}},
		{"RFC 5626 4.5 back-off", []registerStep{
			first,
			{0, answers(registerAnswer{}), "", "down retry 30s", registerWaiting, 30 * time.Second},
			{30 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{30 * time.Second, answers(registerAnswer{Code: 503}), "", "down retry 1m0s", registerWaiting, 90 * time.Second},
			{90 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{90 * time.Second, answers(registerAnswer{Code: 408}), "", "down retry 2m0s", registerWaiting, 210 * time.Second},
		}},
		{"Retry-After", []registerStep{
			first,
			{0, answers(registerAnswer{Code: 503, RetryAfter: 7 * time.Second}), "", "down retry 7s", registerWaiting, 7 * time.Second},
		}},
		{"refresh fails until the binding runs out", []registerStep{
			first,
			{0, answers(bound(regHere, time.Minute)), "", "up 1m0s", registerRegistered, 30 * time.Second},
			{30 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{31 * time.Second, answers(registerAnswer{}), "", "up 29s retry 7.25s", registerWaiting, 38*time.Second + 250*time.Millisecond},
			{39 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{58 * time.Second, answers(registerAnswer{}), "", "up 2s retry 2.5s", registerWaiting, 60 * time.Second},
			{60 * time.Second, doWake, "", "down retry 500ms", registerWaiting, 60*time.Second + 500*time.Millisecond},
			{61 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{61 * time.Second, answers(bound(regHere, h)), "", "up 1h0m0s", registerRegistered, 61*time.Second + refresh},
		}},
		{"flow lost", []registerStep{
			first, up,
			{time.Minute, doLost, "", "down retry 15s", registerWaiting, 75 * time.Second},
			{76 * time.Second, doLost, "", "", registerWaiting, 75 * time.Second},
			{76 * time.Second, doWake, regHere + " 1h0m0s", "", registerSending, 0},
			{76 * time.Second, doLost, "", "", registerSending, 0},
		}},
		{"RFC 3261 10.2.2 removed", []registerStep{
			first, up,
			{time.Minute, doLeave, regHere + " 0s", "", registerRemoving, 0},
			{time.Minute, doLeave, "", "", registerRemoving, 0},
			{time.Minute, answers(registerAnswer{Code: 500}), "", "down", registerEnded, 0},
			{time.Minute, answers(bound(regHere, h)), "", "", registerEnded, 0},
			{time.Minute, doStart, "", "", registerEnded, 0},
			{2 * h, doWake, "", "", registerEnded, 0},
		}},
		{"left while asking", []registerStep{
			first,
			{0, doLeave, "", "", registerSending, 0},
			{0, answers(bound(regHere, h)), regHere + " 0s", "", registerRemoving, 0},
		}},
		{"left while asking, refused", []registerStep{
			first,
			{0, doLeave, "", "", registerSending, 0},
			{0, answers(registerAnswer{Code: 403}), "", "down", registerEnded, 0},
		}},
		{"left while waiting", []registerStep{
			first,
			{0, answers(registerAnswer{}), "", "down retry 30s", registerWaiting, 30 * time.Second},
			{0, doLeave, regHere + " 0s", "", registerRemoving, 0},
		}},
		{"left before the start", []registerStep{{0, doLeave, "", "down", registerEnded, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			epoch := time.Unix(0, 0)
			m := newRegisterMachine(regURI(regHere), 0, func() float64 { return 0 })
			for i, s := range tt.steps {
				out := s.do(m, epoch.Add(s.at))
				send, event := s.describe(out)
				if send != s.send || event != s.event {
					t.Fatalf("step %d: sends %q, reports %q; want %q, %q", i, send, event, s.send, s.event)
				}
				if e := out.Event; e != nil && e.Retry > 0 && e.Err == nil {
					t.Fatalf("step %d: event %+v: a retry must have its reason", i, e)
				}
				if m.state != s.state {
					t.Fatalf("step %d: state %v, want %v", i, m.state, s.state)
				}
				var wakeAt time.Duration
				if d := m.Deadline(); !d.IsZero() {
					wakeAt = d.Sub(epoch)
				}
				if wakeAt != s.wakeAt {
					t.Fatalf("step %d: deadline %v, want %v", i, wakeAt, s.wakeAt)
				}
			}
		})
	}
}

func TestRegisterSpread(t *testing.T) {
	for _, tt := range []struct {
		granted  time.Duration
		random   float64
		min, max time.Duration
	}{
		{time.Hour, 0.999, 48 * time.Minute, 54 * time.Minute},
		{time.Minute, 0.999, 24 * time.Second, 30 * time.Second},
		{time.Second, 0, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		if got := refreshAfter(tt.granted, tt.random); got < tt.min || got > tt.max {
			t.Errorf("refreshAfter(%v, %v) = %v, want %v to %v", tt.granted, tt.random, got, tt.min, tt.max)
		}
	}
}
