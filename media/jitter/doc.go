// Package jitter turns packets that arrive when they like into frames that are due at an even
// pace: the playout buffer, and the concealment of what never came.
package jitter
