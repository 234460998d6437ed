package transport

import (
	"bytes"
	"errors"
)

// Errors of a stream that cannot be followed any further.
var (
	errTooLarge = errors.New("message too large")
	errNoLength = errors.New("message without a usable Content-Length")
	errNotSIP   = errors.New("not SIP")
)

const (
	readSize  = 2 << 10 // what an idle connection holds
	startLine = 256     // by then a SIP start line has had its first space
)

// framer cuts a stream into messages. It holds the bytes of one unfinished message, and
// at most limit of them.
type framer struct {
	buf     []byte // what was read
	at      int    // where the unread begins
	scanned int    // up to here there is no end of headers
	size    int    // of the message at at; 0: not known yet
	limit   int
}

// space gives the room for the next read; grew tells framer how much of it was used.
func (f *framer) space() []byte {
	if f.at > 0 {
		n := copy(f.buf, f.buf[f.at:])
		f.buf = f.buf[:n]
		f.scanned = max(f.scanned-f.at, 0)
		f.at = 0
		if n == 0 && cap(f.buf) > readSize {
			f.buf = nil // after a large message
		}
	}
	if cap(f.buf)-len(f.buf) < readSize/2 {
		grown := make([]byte, len(f.buf), max(2*cap(f.buf), readSize))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

func (f *framer) grew(n int) { f.buf = f.buf[:len(f.buf)+n] }

// partial tells whether a message has begun and is not whole.
func (f *framer) partial() bool { return len(f.buf) > f.at }

// next gives the next whole message, which is valid until space; nil when more must be
// read. blanks counts the CRLFs before it, of which keep-alives are made. After an error
// the stream is lost; message then is what can be answered, if anything.
func (f *framer) next() (message []byte, blanks int, err error) {
	b := f.buf[f.at:]
	if f.size == 0 {
		// "Implementations processing SIP messages over stream-oriented transports MUST
		// ignore any CRLF appearing before the start-line" (RFC 3261 section 7.5)
		for len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
			b = b[2:]
			f.at += 2
			f.scanned = f.at
			blanks++
		}
		if len(b) == 0 || len(b) == 1 && b[0] == '\r' {
			return nil, blanks, nil
		}
		if !starts(b) {
			return nil, blanks, errNotSIP
		}
		from := max(f.scanned, f.at)
		i := bytes.Index(f.buf[from:], []byte("\r\n\r\n"))
		if i < 0 {
			f.scanned = max(len(f.buf)-3, f.at)
			if f.limit > 0 && len(b) > f.limit {
				return nil, blanks, errTooLarge
			}
			return nil, blanks, nil
		}
		header := from + i + 4 - f.at
		n, ok := contentLength(b[:header])
		if !ok {
			return b[:header], blanks, errNoLength
		}
		if f.limit > 0 && header+n > f.limit {
			return b[:header], blanks, errTooLarge
		}
		f.size = header + n
	}
	if len(b) < f.size {
		return nil, blanks, nil
	}
	message = b[:f.size]
	f.at += f.size
	f.scanned, f.size = f.at, 0
	return message, blanks, nil
}

// starts tells whether b can be the beginning of a SIP message.
func starts(b []byte) bool {
	if n := bytes.IndexAny(b[:min(len(b), startLine)], " \n"); n >= 0 {
		word := b[:n]
		return b[n] == ' ' && (token(word) || bytes.HasPrefix(word, []byte("SIP/")))
	}
	return len(b) < startLine && (b[0] == '\r' && len(b) == 1 || token(b) || bytes.HasPrefix(b, []byte("SIP")))
}

// contentLength finds the one Content-Length of a header section. Two that agree are
// still a defect, but one that does not lose the stream.
func contentLength(header []byte) (n int, ok bool) {
	_, skip, cut := cutLine(header)
	if !cut {
		return 0, false
	}
	for header = header[skip:]; ; header = header[skip:] {
		var line []byte
		if line, skip, cut = cutLine(header); !cut || len(line) == 0 {
			return n, ok && cut
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 || white(line[0]) || nameID(bytes.TrimRight(line[:colon], " \t")) != hContentLength {
			continue
		}
		for skip < len(header) && (header[skip] == ' ' || header[skip] == '\t') {
			_, more, cut := cutLine(header[skip:])
			if !cut {
				return 0, false
			}
			skip += more
			line = header[:skip-2]
		}
		this, good := number(trim(line[colon+1:]))
		if !good || ok && this != n {
			return 0, false
		}
		n, ok = this, true
	}
}
