//go:build !race

package serve_test

// crowdSize is about what the usual limit of descriptors allows.
const crowdSize = 9000
