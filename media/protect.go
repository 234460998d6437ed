package media

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/srtp/v3"
)

const (
	replayWindow = 512 // packets; RFC 3711 section 3.3.2 wants at least 64
	maxSSRCs     = 32  // sources whose state is kept; an authenticated peer could use 2^32
	// Room that protection adds to a packet: the GCM tag, or the HMAC tag; for SRTCP the index, too.
	maxTag = 16 + 4
)

var suiteNames = map[srtp.ProtectionProfile]string{ // read only: names of RFC 5764, RFC 7714 and RFC 4568
	srtp.ProtectionProfileAeadAes128Gcm:       "AEAD_AES_128_GCM",
	srtp.ProtectionProfileAeadAes256Gcm:       "AEAD_AES_256_GCM",
	srtp.ProtectionProfileAes128CmHmacSha1_80: "AES_CM_128_HMAC_SHA1_80",
	srtp.ProtectionProfileAes128CmHmacSha1_32: "AES_CM_128_HMAC_SHA1_32",
	srtp.ProtectionProfileAes256CmHmacSha1_80: "AES_256_CM_HMAC_SHA1_80",
}

// sdesKeys splits the keys of signalling.
func sdesKeys(s *SDES) (keyed, error) {
	for p, name := range suiteNames {
		if name != s.Suite {
			continue
		}
		key, err := p.KeyLen()
		if err != nil {
			return keyed{}, err
		}
		salt, err := p.SaltLen()
		if err != nil {
			return keyed{}, err
		}
		if len(s.Local) != key+salt || len(s.Remote) != key+salt {
			return keyed{}, fmt.Errorf("media: SDES keys of %s: want %d bytes each", name, key+salt)
		}
		return keyed{profile: p, keys: srtp.SessionKeys{
			LocalMasterKey: s.Local[:key], LocalMasterSalt: s.Local[key:],
			RemoteMasterKey: s.Remote[:key], RemoteMasterSalt: s.Remote[key:],
		}}, nil
	}
	return keyed{}, fmt.Errorf("media: SDES suite %.32q not supported", s.Suite)
}

// contexts makes the SRTP contexts of both directions.
func contexts(k keyed) (out, in *srtp.Context, err error) {
	out, err = srtp.CreateContext(k.keys.LocalMasterKey, k.keys.LocalMasterSalt, k.profile)
	if err != nil {
		return nil, nil, fmt.Errorf("media: SRTP context: %w", err)
	}
	in, err = srtp.CreateContext(k.keys.RemoteMasterKey, k.keys.RemoteMasterSalt, k.profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, nil, fmt.Errorf("media: SRTP context: %w", err)
	}
	return out, in, nil
}

// refused counts why SRTP refused a packet.
func (c *counters) refused(err error) {
	// A packet seen before has an error of its own that the library does not export.
	if errors.Is(err, srtp.ErrFailedToVerifyAuthTag) {
		c.droppedAuth.Add(1)
	} else {
		c.droppedReplay.Add(1)
	}
}

// random32 returns a random number for an SSRC or a first timestamp.
func random32() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}

// newSSRC returns a random SSRC that none of the transport's streams has had: two
// streams with one would share SRTP indices, that is keystream (RFC 3711 section 9.1).
func (t *Transport) newSSRC() uint32 {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	for {
		ssrc := random32()
		if ssrc != 0 && !slices.Contains(t.out.ssrcs, ssrc) {
			t.out.ssrcs = append(t.out.ssrcs, ssrc)
			return ssrc
		}
	}
}

// firstSequence returns a random first sequence number. The top bit is left
// clear so that the first packets cannot be lost over a wrap, which would leave
// sender and receiver with different rollover counters (RFC 3711 section 3.3.1).
func firstSequence() uint16 { return uint16(random32()) & 0x7fff }
