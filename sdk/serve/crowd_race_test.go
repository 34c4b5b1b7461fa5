//go:build race

package serve_test

// crowdSize is small where every access to memory is watched.
const crowdSize = 1500
