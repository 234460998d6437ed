package negotiate

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// mediaName is an m= line as it came, so that an answer can repeat it.
type mediaName struct {
	kind, proto string
	port        int
	formats     []string
}

// parse reads text into a description. The error's reasons are ours: they
// quote nothing of the text.
//
// pion's grammar is strict about the order of lines and about words it does not
// know ("m=image 0 udptl t38" fails as a whole). Peers are not, and an offer's
// unknown m-lines are to be refused one by one. So the text is put in order first:
// lines in their order, those that mean nothing to us left out, m-lines
// of unknown words replaced; what they said comes from mediaName.
func parse(text []byte) (*description, *Refused) {
	if len(text) > maxSize {
		return nil, malformed("session description too large")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, malformed("NUL in the session description")
	}
	tidied, names, refused := tidy(string(text))
	if refused != nil {
		return nil, refused
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(tidied); err != nil || len(d.MediaDescriptions) != len(names) {
		return nil, malformed("not a session description")
	}
	return describe(&d, names), nil
}

// section is the lines of the session or of one m-line, by meaning.
type section struct {
	seen  [256]bool // types that came, but for c= and a=
	c     string    // the first
	attrs []string
}

func tidy(text string) (string, []mediaName, *Refused) {
	var (
		names    []mediaName
		sections = []*section{{}}
		mlines   []string
		lines    int
	)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if lines++; lines > maxLines || len(line) > maxLineLength {
			return "", nil, malformed("session description beyond limits")
		}
		if len(line) < 2 || line[1] != '=' || strings.IndexByte(line, '\r') >= 0 {
			return "", nil, malformed("a line that is no type=value")
		}
		if lines == 1 && line != "v=0" {
			return "", nil, malformed("no v=0 at the beginning")
		}
		if line[0] == 'm' {
			if len(names) == maxMedia {
				return "", nil, malformed("too many m-lines")
			}
			name, ok := parseMediaName(line[2:])
			if !ok {
				return "", nil, malformed("m= cannot be read")
			}
			names, mlines = append(names, name), append(mlines, line)
			sections = append(sections, &section{})
			continue
		}
		sections[len(sections)-1].add(line)
	}
	if head := sections[0]; !head.seen['o'] || !head.seen['s'] {
		return "", nil, malformed("o= or s= missing")
	}
	var b strings.Builder
	b.Grow(len(text) + 64)
	// The peer's o=, s= and t= decide nothing here, and are often not to the letter.
	b.WriteString("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n")
	sections[0].write(&b, "t=0 0\r\n")
	for i, name := range names {
		if !pionKnows(name) {
			mlines[i] = "m=application " + strconv.Itoa(name.port) + " UDP 0"
		}
		b.WriteString(mlines[i])
		b.WriteString("\r\n")
		sections[i+1].write(&b, "")
	}
	return b.String(), names, nil
}

func (s *section) add(line string) {
	switch t := line[0]; t {
	case 'c':
		if s.c == "" {
			s.c = line
		}
	case 'a':
		if len(line) > 2 {
			s.attrs = append(s.attrs, line)
		}
	default: // i, u, e, p, b, t, r, z, k and letters of the future
		s.seen[t] = true
	}
}

// write appends the connection line, between, and the attributes.
func (s *section) write(b *strings.Builder, between string) {
	if s.c != "" {
		b.WriteString(s.c)
		b.WriteString("\r\n")
	}
	b.WriteString(between)
	for _, a := range s.attrs {
		b.WriteString(a)
		b.WriteString("\r\n")
	}
}

func parseMediaName(s string) (mediaName, bool) {
	f := strings.Fields(s)
	if len(f) < 4 || len(f) > 3+maxFormats || !isToken(f[0]) {
		return mediaName{}, false
	}
	digits, count, ranged := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return mediaName{}, false
	}
	if _, err := strconv.ParseUint(count, 10, 16); ranged && err != nil {
		return mediaName{}, false
	}
	for part := range strings.SplitSeq(f[2], "/") {
		if !isToken(part) {
			return mediaName{}, false
		}
	}
	for _, format := range f[3:] {
		if !isVisible(format) {
			return mediaName{}, false
		}
	}
	return mediaName{kind: f[0], port: int(port), proto: f[2], formats: f[3:]}, true
}

// pionKnows reports whether pion's parser takes an m-line of these words.
func pionKnows(n mediaName) bool {
	return slices.Contains([]string{"audio", "video", "application", "message", "text"}, n.kind) &&
		protoClass(n.proto) != unknownProto
}
