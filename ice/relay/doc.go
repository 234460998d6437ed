// Package relay is a small STUN and TURN server (RFC 8489, RFC 8656) for one
// machine: development, tests, a local network. In production run coturn.
package relay
