package sip

import (
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// statusError is what a final response other than 2xx means to the caller.
func statusError(res *Response, from string) *StatusError {
	reason := res.Reason
	if reason == "" {
		reason = transport.Reason(res.StatusCode)
	}
	return &StatusError{
		Code: res.StatusCode, Reason: reason, From: from,
		Warning:    warningText(headerText(res, "warning", "")),
		RetryAfter: retryAfter(headerText(res, "retry-after", "")),
	}
}

// warningText is the text of the first warning-value: `305 host "text"`.
func warningText(v string) string {
	_, quoted, ok := strings.Cut(v, `"`)
	if !ok {
		return ""
	}
	text, _, ok := cutQuoted(`"` + quoted)
	if !ok {
		return ""
	}
	return transport.Visible(unquotePairs(text))
}

const maxRetryAfter = 24 * time.Hour // ours

// retryAfter reads the seconds of `120 (maintenance);duration=60`.
func retryAfter(v string) time.Duration {
	end := strings.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(v)
	}
	if end == 0 {
		return 0
	}
	n, err := strconv.ParseUint(v[:end], 10, 32)
	if err != nil {
		return maxRetryAfter
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// The methods that the agent answers or hands to its user, and those it knows.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"

func isKnownMethod(m sipmsg.RequestMethod) bool {
	switch m {
	case sipmsg.INVITE, sipmsg.ACK, sipmsg.CANCEL, sipmsg.BYE, sipmsg.REGISTER, sipmsg.OPTIONS, sipmsg.SUBSCRIBE, sipmsg.NOTIFY,
		sipmsg.REFER, sipmsg.INFO, sipmsg.MESSAGE, sipmsg.PRACK, sipmsg.UPDATE, sipmsg.PUBLISH:
		return true
	}
	return false
}
