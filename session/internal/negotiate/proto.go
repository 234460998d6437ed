package negotiate

// class is what an m-line's proto alone says of its protection.
type class uint8

const (
	unknownProto class = iota
	plainProto         // RTP/AVP, perhaps encrypted at best effort
	secureProto        // RTP/SAVP: keys by a=crypto or by DTLS
	dtlsProto          // UDP/TLS/RTP/SAVP
)

func protoClass(proto string) class {
	switch proto {
	case "RTP/AVP", "RTP/AVPF":
		return plainProto
	case "RTP/SAVP", "RTP/SAVPF":
		return secureProto
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return dtlsProto
	}
	return unknownProto
}

// proto is what our offers of a profile say. SAVPF for DTLS is what browsers
// insist on (RFC 8834) and what the SIP stacks with DTLS take; baresip, with
// dtls_srtp, takes all four secure protos.
func (p Profile) proto() string {
	switch p {
	case Plain:
		return "RTP/AVP"
	case SDES:
		return "RTP/SAVP"
	case DTLS:
		return "UDP/TLS/RTP/SAVPF"
	}
	return ""
}

// suites are the crypto lines of theirs whose suite we can do and that ask
// for nothing we cannot, in their order.
func suites(theirs []Crypto, ours []string) []Crypto {
	var list []Crypto
	for _, c := range theirs {
		for _, s := range ours {
			if c.Suite == s && c.usable() {
				list = append(list, c)
			}
		}
	}
	return list
}

// profileOf is the strongest profile that an offered m-line makes possible,
// and at least weakest.
func profileOf(m *media, weakest Profile, ours []string) (Profile, *Refused) {
	c := protoClass(m.proto)
	var p Profile
	switch {
	case c == unknownProto:
		return 0, refuse(warnTransport, "Incompatible transport protocol")
	case len(m.fingerprints) > 0:
		p = DTLS
	case c == dtlsProto:
		return 0, refuse(warnMisc, "No usable DTLS fingerprint")
	case len(suites(m.crypto, ours)) > 0:
		p = SDES
	case c == secureProto:
		return 0, refuse(warnTransport, "Incompatible transport protocol: no usable SRTP keys")
	default:
		p = Plain
	}
	if p < weakest {
		return 0, refuse(warnTransport, "Incompatible transport protocol: encryption required")
	}
	if p == DTLS && m.setup != "" && m.setup != "actpass" && m.setup != "active" && m.setup != "passive" {
		return 0, refuse(warnMisc, "No usable DTLS setup")
	}
	return p, nil
}
