package sip

// Address is a name-addr of From, To, Contact and the like. It is a comparable
// value.
type Address struct {
	Name   string // the display name, without quotes
	URI    URI
	Params string // the header parameters: ";tag=1"
}

// ParseAddress reads `"Bob" <sip:bob@example.org>;tag=1`, or the form without
// brackets, in which all parameters are the header's.
func ParseAddress(s string) (Address, error) { panic("not yet") }

// String is the address as on the wire.
func (a Address) String() string { return string(a.Append(nil)) }

// Append appends the address as on the wire.
func (a Address) Append(b []byte) []byte { panic("not yet") }

// Param is the value of a header parameter.
func (a Address) Param(name string) (value string, ok bool) { panic("not yet") }

// Tag is the tag parameter.
func (a Address) Tag() string { panic("not yet") }
