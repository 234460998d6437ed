package media

import (
	"bytes"
	"testing"
)

func TestSetRemoteKeyRefusesWhatIsNoKey(t *testing.T) {
	sdes := &Transport{profile: "SDES", suite: "AEAD_AES_128_GCM"}
	for name, tt := range map[string]struct {
		t   *Transport
		key []byte
		ok  bool
	}{
		"a key":        {sdes, bytes.Repeat([]byte{1}, 28), true},
		"too short":    {sdes, bytes.Repeat([]byte{1}, 27), false},
		"of HMAC-SHA1": {sdes, bytes.Repeat([]byte{1}, 30), false},
		"nothing":      {sdes, nil, false},
		"DTLS":         {&Transport{profile: "DTLS-SRTP", suite: "AEAD_AES_128_GCM"}, bytes.Repeat([]byte{1}, 28), false},
		"plain":        {&Transport{profile: "RTP"}, bytes.Repeat([]byte{1}, 28), false},
	} {
		if err := tt.t.SetRemoteKey(tt.key); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
