// Package registrar is a small SIP registrar and stateful proxy for
// development, tests and a LAN.
package registrar
