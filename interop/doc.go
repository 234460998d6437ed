// Package interop calls real peers that none of us wrote. Its tests carry the
// build tag interop and need root on Linux, for network namespaces, and the
// peers' Debian packages; see the README's interop table.
//
//	go test -tags interop ./interop/...
//
// All traffic stays in two namespaces that the tests make: one for the test
// process, which runs itself again inside it, and one for the peer, with a wire
// between them.
package interop
