package negotiate

// Offers as the peers of the field send them, in shape. Addresses and keys are invented.

const print1 = "SHA-256 0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9"

const print2 = "sha-256 A0:B1:C2:D3:E4:F5:06:17:28:39:4A:5B:6C:7D:8E:9F:A0:B1:C2:D3:E4:F5:06:17:28:39:4A:5B:6C:7D:8E:9F"

// baresip 1.0 with mediaenc=dtls_srtp and medianat=ice: setup and fingerprint at session level.
const baresipOffer = `v=0
o=- 3341568301 2041385701 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
a=tool:baresip 1.0.0
a=setup:actpass
a=fingerprint:` + print1 + `
a=ice-ufrag:RjGX
a=ice-pwd:N5r5eUVS9XqUDrl0sMEOvG
m=audio 29586 UDP/TLS/RTP/SAVPF 9 0 8 101
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:29586
a=sendrecv
a=label:1
a=rtcp-rsize
a=rtcp-mux
a=ssrc:2733571302 cname:sip:bob@192.0.2.10
a=ptime:20
a=candidate:7f000001 1 UDP 2113929471 192.0.2.10 29586 typ host
a=candidate:7f000002 1 UDP 1677721855 198.51.100.10 41000 typ srflx raddr 192.0.2.10 rport 29586
`

// Linphone 5, best effort encryption off, DTLS: several codecs, AVPF feedback.
const linphoneOffer = `v=0
o=alice 1734 2101 IN IP4 192.0.2.20
s=Talk
c=IN IP4 192.0.2.20
t=0 0
a=ice-pwd:cbd7e1b40a9a6b26f5d3e2a1
a=ice-ufrag:9a1c63f2
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
a=record:off
m=audio 7078 UDP/TLS/RTP/SAVPF 96 97 98 0 8 18 101 99
c=IN IP4 198.51.100.20
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 speex/16000
a=fmtp:97 vbr=on
a=rtpmap:98 speex/8000
a=fmtp:98 vbr=on
a=fmtp:18 annexb=yes
a=rtpmap:101 telephone-event/48000
a=rtpmap:99 telephone-event/8000
a=rtcp-mux
a=setup:actpass
a=fingerprint:` + print1 + `
a=candidate:1 1 UDP 2130706303 192.0.2.20 7078 typ host
a=candidate:2 1 UDP 1694498687 198.51.100.20 7078 typ srflx raddr 192.0.2.20 rport 7078
a=rtcp-fb:* trr-int 1000
a=rtcp-fb:* ccm tmmbr
`

// Chrome by way of JsSIP: audio and video in one BUNDLE group, mDNS candidate.
const chromeOffer = `v=0
o=- 4611733054762223410 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 0c2f
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1467250027 1 udp 2122260223 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 56143 typ host generation 0 network-id 1
a=ice-ufrag:hD+k
a=ice-pwd:4Wv2T0yqF8XW8oO3ht7VbPnQ
a=ice-options:trickle
a=fingerprint:` + print2 + `
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:0c2f 8f1d
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:hD+k
a=ice-pwd:4Wv2T0yqF8XW8oO3ht7VbPnQ
a=ice-options:trickle
a=fingerprint:` + print2 + `
a=setup:actpass
a=mid:1
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
`

// Asterisk 18, chan_pjsip, media_encryption=sdes.
const asteriskOffer = `v=0
o=- 1893247212 1893247212 IN IP4 192.0.2.30
s=Asterisk
c=IN IP4 192.0.2.30
t=0 0
m=audio 16502 RTP/SAVP 0 8 9 101
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:` + testKey1 + `
a=crypto:2 AEAD_AES_256_GCM inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXI=
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:9 G722/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=sendrecv
`

// A desk phone of the old kind: static payload types without rtpmap.
const oldPhoneOffer = `v=0
o=root 17 42 IN IP4 192.0.2.40
s=call
c=IN IP4 192.0.2.40
t=0 0
m=audio 11780 RTP/AVP 18 8 0 101
a=rtpmap:101 telephone-event/8000
`

// A fax gateway: audio and T.38 side by side.
const faxOffer = `v=0
o=gw 1 1 IN IP4 192.0.2.50
s=SIP Call
c=IN IP4 192.0.2.50
t=0 0
m=audio 20000 RTP/AVP 0
m=image 20002 udptl t38
a=T38FaxVersion:0
a=T38MaxBitRate:14400
`

const (
	testKey1 = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
	testKey2 = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlq"
)
