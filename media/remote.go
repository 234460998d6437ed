package media

import "net/netip"

// SetRemote follows a new session description of a peer without ICE: plain RTP is
// taken from the address it names from now on, by the rules of
// TransportConfig.Remote. The caller points the path there.
func (t *Transport) SetRemote(remote netip.AddrPort) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.sources = sources{sdp: unmap(remote), signalling: t.in.sources.signalling}
}
