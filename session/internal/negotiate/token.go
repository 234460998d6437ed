package negotiate

// isToken reports whether s is a token of RFC 8866 section 9.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '"' || c == '(' || c == ')' || c == ',' || c == '/' || c >= ':' && c <= '@' || c >= '[' && c <= ']':
			return false
		}
	}
	return s != ""
}

// isVisible reports whether s is visible ASCII without blanks.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// isLine reports whether s may stand as an attribute's value: no control characters.
func isLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}
