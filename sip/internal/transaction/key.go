package transaction

import (
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// cookie begins a branch that is unique by itself (RFC 3261 section 8.1.1.7).
const cookie = "z9hG4bK"

// serverKey appends the key of the server transaction a request belongs to, or would
// with another method (an ACK or CANCEL to its INVITE): RFC 3261 section 17.2.3.
func serverKey(k []byte, req *sipmsg.Request, method string) []byte {
	via := req.Via()
	branch := param(via.Params, "branch")
	if len(branch) > len(cookie) && strings.HasPrefix(branch, cookie) {
		k = append(k, 's')
		k = append(k, branch...)
	} else {
		// "If the branch parameter in the top Via header field is not present, or does
		// not contain the magic cookie": Request-URI, From tag, Call-ID, CSeq number and
		// top Via. The To tag is left out: an ACK has the response's, which we would
		// have to keep, and the rest names the transaction well enough.
		k = append(k, 'o')
		k = append(k, req.Recipient.String()...)
		k = append(k, 0)
		k = append(k, param(req.From().Params, "tag")...)
		k = append(k, 0)
		k = append(k, *req.CallID()...)
		k = append(k, 0)
		k = strconv.AppendUint(k, uint64(req.CSeq().SeqNo), 10)
		k = append(k, 0)
		k = append(k, branch...)
	}
	k = append(k, 0)
	for i := range len(via.Host) {
		k = append(k, lower(via.Host[i]))
	}
	k = append(k, byte(via.Port>>8), byte(via.Port))
	return append(k, method...)
}

// clientKey appends the key of the client transaction with a branch and CSeq method
// (RFC 3261 section 17.1.3).
func clientKey(k []byte, branch string, method sipmsg.RequestMethod) []byte {
	k = append(k, 'c')
	k = append(k, branch...)
	k = append(k, 0)
	return append(k, method...)
}

// param finds a header parameter; names are case-insensitive (RFC 3261 section 7.3.1).
func param(params sipmsg.HeaderParams, name string) string {
	for i := range params {
		if strings.EqualFold(params[i].K, name) {
			return params[i].V
		}
	}
	return ""
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
