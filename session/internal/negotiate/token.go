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
