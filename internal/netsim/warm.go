package netsim

import (
	"context"
	"net"
	"os"
)

// WarmResolver makes package net build what its resolver keeps for the life of
// the process, outside of all bubbles. No packet is sent. See the package
// comment; call it in TestMain.
func WarmResolver() {
	r := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrInvalid }}
	_, _ = r.LookupHost(context.Background(), "warm.invalid.") // fails by construction
}
