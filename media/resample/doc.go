// Package resample converts speech between 8000, 16000 and 48000 samples a second.
package resample
