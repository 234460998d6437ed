// Package arch holds the house rules as tests: which package may import which,
// how long a file may be, where sockets may be opened, what the repository
// may contain. There is no code here to import.
//
// # Usage
//
//	go test ./internal/arch
//
// A failure names the file, the line where there is one, and the rule. A rule that has
// become wrong is changed in rules_test.go, in a commit that says why.
//
// # Concurrency
//
// The rules read the tree and change nothing.
//
// # Cancellation
//
// Nothing waits.
//
// # Limitations
//
// The rules read source text: they know imports and names, not types. They look at
// every file of the working tree, also at those that are not under version control.
package arch
