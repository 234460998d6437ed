package transport

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"strconv"
)

// reply builds the response to a request with a defect from the raw bytes, as the parser
// may not understand them. nil: it must not be answered (an ACK), or cannot be because
// it has no usable Via. The To tag is made from seed, so that it stays the same for a
// retransmission of which nothing was kept (RFC 3261 section 8.2.7).
func (h *head) reply(raw []byte, d *defect, source netip.AddrPort, seed maphash.Seed) (res []byte, to netip.AddrPort) {
	if !h.request || d.code == 0 || string(h.method) == "ACK" || h.body == 0 {
		return nil, to
	}
	w, ok := parseVia(h.value[hVia])
	if !ok {
		return nil, to
	}
	port, _ := number(w.port)
	to = replyTo(w.rport, port, source)

	res = make([]byte, 0, 512)
	res = append(res, "SIP/2.0 "...)
	res = strconv.AppendInt(res, int64(d.code), 10)
	// "The Reason-Phrase SHOULD identify the syntax problem in more detail, for example,
	// "Missing Call-ID header field"" (RFC 3261 section 21.4.1)
	res = append(append(append(res, ' '), d.reason...), "\r\n"...)
	header, first := raw[:h.body], true
	var done [headerIDs]bool
	_, n, _ := cutLine(header)
	for header = header[n:]; ; header = header[n:] {
		var line []byte
		line, n, _ = cutLine(header)
		if len(line) == 0 {
			break
		}
		for n < len(header) && (header[n] == ' ' || header[n] == '\t') {
			_, more, _ := cutLine(header[n:])
			n += more
			line = header[:n-2]
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 || control(line) != nil {
			continue
		}
		id := nameID(bytes.TrimRight(line[:colon], " \t"))
		if id != hVia && done[id] {
			continue // repeated: the first counts
		}
		done[id] = true
		switch id {
		case hVia:
			if first {
				line = viaSource(line, source)
				first = false
			}
		case hTo:
			if bytes.IndexByte(line, '\n') < 0 && !bytes.Contains(bytes.ToLower(line), []byte("tag")) {
				var tag maphash.Hash
				tag.SetSeed(seed)
				_, _ = tag.Write(h.value[hVia])
				_, _ = tag.Write(h.value[hCallID])
				line = append(append([]byte(nil), line...), ";tag="...)
				line = strconv.AppendUint(line, tag.Sum64(), 36)
			}
		case hFrom, hCallID, hCSeq:
		default:
			continue
		}
		res = append(append(res, line...), "\r\n"...)
	}
	return append(res, "Content-Length: 0\r\n\r\n"...), to
}

// viaSource puts received and rport into the first value of a raw Via line, as
// markSource does for a parsed one.
func viaSource(line []byte, source netip.AddrPort) []byte {
	end := len(line)
	for i := 0; i < len(line) && end == len(line); i++ {
		switch line[i] {
		case '"':
			i += max(quoted(line[i:]), 1) - 1
		case ',':
			end = i
		}
	}
	value, rest := line[:end], line[end:]
	out := make([]byte, 0, len(line)+64)
	parts := bytes.Split(value, []byte(";"))
	rport := false
	out = append(out, bytes.TrimRight(parts[0], " \t\r\n")...)
	for _, p := range parts[1:] {
		name, _, _ := bytes.Cut(p, []byte("="))
		switch name = trim(name); {
		case bytes.EqualFold(name, []byte("received")):
			continue
		case bytes.EqualFold(name, []byte("rport")):
			rport = true
			continue
		}
		out = append(append(out, ';'), p...)
	}
	out = append(bytes.TrimRight(out, " \t\r\n"), ";received="...)
	out = source.Addr().WithZone("").AppendTo(out)
	if rport {
		out = append(out, ";rport="...)
		out = strconv.AppendUint(out, uint64(source.Port()), 10)
	}
	return append(out, rest...)
}
