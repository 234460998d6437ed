//go:build race

package media

const raceDetector = true // which allocates on its own account
