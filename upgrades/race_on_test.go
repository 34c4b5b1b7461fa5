//go:build race

package upgrades

// raced thins out what the race detector makes slow.
const raced = true
