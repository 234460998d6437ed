package speech_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/peercall/peercall/internal/speech"
)

// Something said, heard at half the loudness and 120 ms later.
func ExampleCompare() {
	const rate = 16000
	rng := rand.New(rand.NewPCG(1, 1))
	said, other := make([]int16, 4*rate), make([]int16, 4*rate)
	for i := range said {
		said[i], other[i] = int16(rng.IntN(20000)-10000), int16(rng.IntN(20000)-10000)
	}
	heard := make([]int16, rate*12/100)
	for _, v := range said {
		heard = append(heard, v/2)
	}
	r := speech.Compare(said, heard, rate, speech.Options{})
	fmt.Println(r.OK(), r)
	fmt.Println(speech.Compare(other, heard, rate, speech.Options{}).Unrelated())
	// Output:
	// true median 1.000, 100% of 7 windows at 0.8 or more, found at 120ms, first 300ms not judged (1.00)
	// true
}
