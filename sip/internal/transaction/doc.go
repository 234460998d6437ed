// Package transaction is the transaction layer of RFC 3261 section 17 as
// corrected by RFC 6026.
package transaction
