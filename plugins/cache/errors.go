package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/theseusd/theseus/sdk/state"
)

// failure is an error as it goes over the wire: its first word is the code that clients look at. The texts are Redis'.
type failure string

func (f failure) Error() string { return string(f) }

// text is the error without its code, if that says nothing.
func (f failure) text() string { return strings.TrimPrefix(string(f), "ERR ") }

const (
	errSyntax    failure = "ERR syntax error"
	errInteger   failure = "ERR value is not an integer or out of range"
	errOverflow  failure = "ERR increment or decrement would overflow"
	errDecrement failure = "ERR decrement would overflow"
	errTooLong   failure = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errCursor    failure = "ERR invalid cursor"
	errExpireNX  failure = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errExpireGT  failure = "ERR GT and LT options at the same time are not compatible"
	errDB        failure = "ERR DB index is out of range"
	errProtocol  failure = "NOPROTO unsupported protocol version"
	errNotNumber failure = "ERR Protocol version is not an integer or out of range"
	errName      failure = "ERR Client names cannot contain spaces, newlines or special characters."
	errPassword  failure = "WRONGPASS invalid username-password pair or user is disabled."
	errNoAuth    failure = "ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?"
)

// wireText is an error as a client sees it.
func wireText(err error) string {
	var f failure
	switch {
	case errors.As(err, &f):
		return string(f)
	case errors.Is(err, state.ErrTooLarge):
		return string(errTooLong)
	}
	return "ERR " + err.Error()
}

// clientsFault is true for what a client has done wrong; anything else is a command that this service could not do.
func clientsFault(err error) bool {
	var f failure
	return errors.As(err, &f) || errors.Is(err, state.ErrTooLarge)
}

func errArity(command string) failure {
	return failure(fmt.Sprintf("ERR wrong number of arguments for '%s' command", command))
}

func errExpireTime(command string) failure {
	return failure(fmt.Sprintf("ERR invalid expire time in '%s' command", command))
}

func errSubcommand(q *call) failure {
	return failure(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", q.args[1], strings.ToUpper(q.word)))
}

// Texts of what a connection may not do now.
const (
	errNested     failure = "ERR MULTI calls can not be nested"
	errNoMulti    failure = "ERR EXEC without MULTI"
	errNoDiscard  failure = "ERR DISCARD without MULTI"
	errWatching   failure = "ERR WATCH inside MULTI is not allowed"
	errReply      failure = "ERR the reply is larger than 1 GB"
	errAborted    failure = "EXECABORT Transaction discarded because of previous errors."
	errNotInMulti failure = "ERR Command not allowed inside a transaction"
	errQueue      failure = "ERR the transaction is larger than 64 MB"
	errBaggage    failure = "ERR the name and the subscriptions of a connection have 32 KB together"
	errChannels   failure = "ERR too many subscriptions for one connection: their names have 32 KB together"
)

// Texts about values.
const (
	errKind      failure = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errFloat     failure = "ERR value is not a valid float"
	errNaN       failure = "ERR increment would produce NaN or Infinity"
	errHashInt   failure = "ERR hash value is not an integer"
	errHashFloat failure = "ERR hash value is not a float"
	errOffset    failure = "ERR offset is out of range"
	errNoSuchKey failure = "ERR no such key"
	errSameKey   failure = "ERR source and destination objects are the same"
	errTag       failure = "ERR a tag has 1 to 256 bytes"
	errTags      failure = "ERR a key has at most 64 tags"
)

func errListening(command string) failure {
	return failure(fmt.Sprintf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", command))
}

// Texts about namespaces.
const (
	errNamespace failure = "ERR no such namespace"
	errBounds    failure = "ERR a namespace is bounded by entries or by bytes, not by both"
	errSliding   failure = "ERR a sliding namespace needs a time to live: EX or PX"
)
