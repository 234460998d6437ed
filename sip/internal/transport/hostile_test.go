package transport

import (
	"strings"
	"testing"
)

// hostile are datagrams of the largest size that cost the most to parse.
func hostile() map[string]string {
	const size = 60000
	head, _, _ := strings.Cut(options, "\r\n\r\n")
	fill := func(line string) string {
		var b strings.Builder
		b.WriteString(head)
		b.WriteString("\r\n")
		for b.Len() < size {
			b.WriteString(line)
			b.WriteString("\r\n")
		}
		return b.String() + "\r\n"
	}
	manyParams := strings.Repeat(";a=b", 60)
	return map[string]string{
		"short headers":       fill("X: y"),
		"255 headers":         fill("X: " + strings.Repeat("y", 230)),
		"one long header":     fill("X: " + strings.Repeat("y", 15000)),
		"contacts":            fill("Contact: " + strings.TrimSuffix(strings.Repeat("<sip:a@b>,", 120), ",")),
		"contact parameters":  fill("Contact: <sip:a@b>" + manyParams),
		"contact uri params":  fill("Contact: <sip:a@b" + manyParams + ">"),
		"routes":              fill("Route: " + strings.TrimSuffix(strings.Repeat("<sip:a;lr>,", 60), ",")),
		"record-routes":       fill("Record-Route: " + strings.TrimSuffix(strings.Repeat("<sip:a;lr>,", 60), ",")),
		"vias":                fill("Via: " + strings.TrimSuffix(strings.Repeat("SIP/2.0/UDP a;branch=b,", 60), ",")),
		"via parameters":      fill("Via: SIP/2.0/UDP a" + manyParams),
		"quotes":              fill(`Contact: "` + strings.Repeat(`\"`, 7000) + `" <sip:a@b>`),
		"commas in quotes":    fill(`Contact: "` + strings.Repeat(`,`, 14000) + `" <sip:a@b>`),
		"escapes in contacts": fill("Contact: <sip:" + strings.Repeat("%41", 4000) + "@b>"),
		"folds":               fill("Contact: <sip:a@b>" + strings.Repeat(";a\r\n =b", 60)),
		"spaces":              fill("Contact: <sip:a@b> " + strings.Repeat(" ", 15000) + ";a=b"),
		"body":                head + "\r\n" + "Content-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000),
	}
}

// What a stranger sends must not cost more than the bytes are worth.
func TestHostileDatagrams(t *testing.T) {
	p := newParser(256)
	for name, text := range hostile() {
		raw := []byte(text)
		if n := testing.AllocsPerRun(1, func() { _, _ = p.parse(raw, false) }); n > 2000 {
			t.Errorf("%s: %v allocations for one datagram", name, n)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile() {
		raw := []byte(text)
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			p := newParser(256)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				_, _ = p.parse(raw, false)
			}
		})
	}
}
