// Package api is the gRPC interface of breaker: the generated client and server, for callers in Go.
package api

//go:generate go tool -modfile=../../../tools.mod buf generate
//go:generate go tool -modfile=../../../tools.mod gofumpt -w breaker.pb.go breaker_grpc.pb.go
