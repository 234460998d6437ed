// Package sip is a SIP user agent: flows over UDP and TCP, transactions,
// dialogs, INVITE in both directions, registration and digest authentication
// (RFC 3261 and the documents that correct it). Bodies are opaque bytes.
package sip
