// Package transport carries SIP messages over UDP and TCP.
package transport
