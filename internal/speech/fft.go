package speech

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// fft transforms n points, a power of two.
type fft struct {
	n       int
	twiddle []complex128 // exp(-2*pi*i*k/n) for k < n/2
}

// newFFT makes one for at least n points.
func newFFT(n int) *fft {
	n = 1 << bits.Len(uint(max(n, 2)-1))
	f := &fft{n, make([]complex128, n/2)}
	for k := range f.twiddle {
		f.twiddle[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	return f
}

// transform replaces x by its discrete Fourier transform (radix 2, in place).
func (f *fft) transform(x []complex128) {
	shift := bits.UintSize - bits.Len(uint(f.n-1))
	for i := range x {
		if j := int(bits.Reverse(uint(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= f.n; size *= 2 {
		half, step := size/2, f.n/size
		for at := 0; at < f.n; at += size {
			lo, hi := x[at:at+half], x[at+half:at+size]
			for k := range lo {
				u, v := lo[k], hi[k]*f.twiddle[k*step]
				lo[k], hi[k] = u+v, u-v
			}
		}
	}
}

// correlate returns the sums over n of a[n]*b[n+lag] at index lag, negative
// lags from the end; only the real parts count. The two together must fit into
// n points, or the lags asked for must not wrap around.
func (f *fft) correlate(a, b []float64) []complex128 {
	x := make([]complex128, f.n) // both real signals in one transform
	for i, v := range a {
		x[i] = complex(v, 0)
	}
	for i, v := range b {
		x[i] += complex(0, v)
	}
	f.transform(x)
	// The inverse transform is the conjugate of the transform of the conjugate;
	// of the conjugate only the real part is wanted, which is the same.
	product := func(k, m int) complex128 {
		za, zb := x[k], cmplx.Conj(x[m])
		fa, fb := (za+zb)/2, (za-zb)/complex(0, 2)
		return fa * cmplx.Conj(fb) / complex(float64(f.n), 0)
	}
	for k := 0; k <= f.n/2; k++ {
		m := (f.n - k) % f.n
		x[k], x[m] = product(k, m), product(m, k)
	}
	f.transform(x)
	return x
}
