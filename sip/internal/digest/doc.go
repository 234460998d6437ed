// Package digest is the Digest access authentication of SIP, both sides:
// RFC 3261 section 22 with the algorithms of RFC 8760 (MD5, SHA-256 and
// SHA-512-256) and the computation of [RFC 7616].
//
// # Usage
//
// A client keeps one [Client] per account. After a 401 or 407 it builds the
// request again and calls [Client.Authorize] on it; [Client.Preauthorize] puts
// the credentials on a request beforehand once a challenge is known. A server
// keeps one [Server]; it sends [Server.Challenges] and judges with
// [Server.Check].
//
// # Concurrency
//
// Client and Server are safe for concurrent use; everything else is a value.
//
// # Limitations
//
// qop "auth" and no qop at all; "auth-int" and the "-sess" algorithms are not
// answered. Header values over 4 KiB or with more than 32 parameters are
// refused.
//
// [RFC 7616]: https://www.rfc-editor.org/rfc/rfc7616
package digest
