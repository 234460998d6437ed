// Package dtmf sends and receives keypad digits as the telephone-events of [RFC 4733].
//
// [RFC 4733]: https://www.rfc-editor.org/rfc/rfc4733
package dtmf
