package sip

// URI is a SIP or SIPS URI, or one of another scheme. It is a comparable value:
// == compares the text, Equal compares as RFC 3261 section 19.1.4 says. Parts
// are kept as they are on the wire, with their escapes.
type URI struct {
	Scheme   string // "sip", "sips", lower case; "tel" and others
	User     string
	Password string // of the URI, deprecated by RFC 3261 section 19.1.1; kept, never made
	Host     string // without the brackets of an IPv6 address; all but the scheme when it is not sip or sips
	Port     uint16
	Params   string // ";transport=tcp;lr"
	Headers  string // "?Subject=x"
}

// ParseURI reads a URI. A text without a scheme is an error.
func ParseURI(s string) (URI, error) { panic("not yet") }

// String is the URI as on the wire.
func (u URI) String() string { return string(u.Append(nil)) }

// Append appends the URI as on the wire.
func (u URI) Append(b []byte) []byte { panic("not yet") }

// Param is the value of a URI parameter; ok says that it is there, with or
// without a value. The name is compared without regard to case.
func (u URI) Param(name string) (value string, ok bool) { panic("not yet") }

// Equal compares as RFC 3261 section 19.1.4 says.
func (u URI) Equal(v URI) bool { panic("not yet") }
