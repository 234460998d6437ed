package session

import (
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session/internal/negotiate"
)

// sdesSuites are the suites of a=crypto that we offer and take, the best first.
func sdesSuites() []string {
	return []string{"AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"}
}

// newCrypto is a line with a key of its own for each suite. "The master key and salt
// [...] MUST be unique" to an offer (RFC 4568 section 6.1): each gets fresh ones.
func newCrypto() []negotiate.Crypto {
	var lines []negotiate.Crypto
	for i, suite := range sdesSuites() {
		key := make([]byte, 16+14) // RFC 4568 section 6.2
		if suite == "AEAD_AES_128_GCM" {
			key = key[:16+12] // RFC 7714 section 14.1
		}
		_, _ = rand.Read(key) // never fails (crypto/rand)
		lines = append(lines, negotiate.Crypto{Tag: i + 1, Suite: suite, Key: base64.StdEncoding.EncodeToString(key)})
	}
	return lines
}

// sdesKeys are the keys that two crypto lines agree on.
func sdesKeys(line *negotiate.Line) (media.Keys, error) {
	s := &media.SDES{Suite: line.LocalCrypto.Suite}
	var err, remote error
	s.Local, err = base64.StdEncoding.DecodeString(line.LocalCrypto.Key)
	s.Remote, remote = base64.StdEncoding.DecodeString(line.RemoteCrypto.Key)
	if err != nil || remote != nil || s.Suite != line.RemoteCrypto.Suite {
		return media.Keys{}, errors.New("session: the crypto lines make no keys") // cannot be: negotiate looked; and the error quotes nothing
	}
	if line.LocalCrypto.Key == line.RemoteCrypto.Key {
		return media.Keys{}, errors.New("session: the peer took our own key for its own, which would protect two streams alike")
	}
	return media.Keys{SDES: s}, nil
}

// rekey follows a peer that sends with another key after a re-INVITE.
func (k *link) rekey(line *negotiate.Line) error {
	if line.Profile != negotiate.SDES || line.RemoteCrypto.Key == k.crypto.Key {
		return nil
	}
	keys, err := sdesKeys(line)
	if err != nil {
		return err
	}
	k.crypto = line.RemoteCrypto
	return k.transport.SetRemoteKey(keys.SDES.Remote)
}
