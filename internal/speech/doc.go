// Package speech tells whether recorded speech is what was said: the check at
// the end of a call in the examples and the tests.
//
// Both signals are reduced to 300 to 3400 Hz, what every telephone codec
// carries, so that a narrowband path is judged as a wideband one is. Where the
// whole of what was said lies in what was heard is found once, by
// cross-correlation. Then every window of 500 ms in which there is speech is
// aligned on its own within 100 ms, as a jitter buffer stretches and shrinks
// time, and its normalised correlation is its similarity: 1 is the same, 0 has
// nothing in common. Loudness does not matter, polarity does.
//
// # Usage
//
//	r := speech.Compare(said, heard, 16000, speech.Options{})
//	if !r.OK() {
//		return fmt.Errorf("heard something else: %v", r)
//	}
//	if c := speech.Compare(another, heard, 16000, speech.Options{}); !c.Unrelated() {
//		return fmt.Errorf("the measure cannot tell one voice from another: %v", c)
//	}
//
// # Concurrency, Cancellation
//
// Compare is a pure function: ten seconds take some tens of milliseconds.
//
// # Limitations
//
// It is not a measure of quality: noise and distortion lower it little, what is
// above 3400 Hz does not count. Clocks that drift by more than 100 ms over the
// recording, and speech that is repeated or stretched throughout, are not
// followed.
package speech
