package media

import "errors"

// SetRemoteKey takes another key of the peer for SDES, master key followed by master
// salt, of the suite agreed on: packets that come from now on are protected with it. Our
// own key stays, with its indices, so that none is used twice.
func (t *Transport) SetRemoteKey(key []byte) error {
	if t.profile != "SDES" {
		return errors.New("media: only SDES has keys that can be replaced")
	}
	k, err := sdesKeys(&SDES{Suite: t.suite, Local: key, Remote: key}) // of which the remote side is used
	if err != nil {
		return err
	}
	_, in, err := contexts(k)
	if err != nil {
		return err
	}
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.srtp = in
	return nil
}
