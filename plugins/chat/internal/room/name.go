package room

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors of names, each of which says how such a name is. Whoever brings one in from outside asks here.
var (
	ErrName = errors.New("the name of a room has 1 to 64 characters, each of a-z A-Z 0-9 _ . : -")
	ErrUser = errors.New("the name of a user has 1 to 64 characters, no control character, and no space at its ends")
	ErrID   = errors.New("the id of a message has 1 to 128 bytes")
)

const (
	maxUser = 64  // characters
	maxID   = 128 // bytes
)

var nameOf = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// CheckName refuses what no room may be called.
func CheckName(name string) error { return unless(nameOf.MatchString(name), name, ErrName) }

// CheckUser refuses what no user may be called.
func CheckUser(name string) error {
	good := name != "" && utf8.RuneCountInString(name) <= maxUser && strings.TrimSpace(name) == name && !strings.ContainsFunc(name, garbles)
	return unless(good, name, ErrUser)
}

// CheckID refuses what is no id of a message.
func CheckID(id string) error { return unless(id != "" && len(id) <= maxID, id, ErrID) }

func unless(good bool, word string, err error) error {
	if good {
		return nil
	}
	return fmt.Errorf("%.80q: %w", word, err)
}

// Acts is true for what is no letter or sign but does something: it moves, clears, colours, breaks or turns lines.
func Acts(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// garbles is Acts, or what stands for bytes that are no UTF-8.
func garbles(r rune) bool { return Acts(r) || r == utf8.RuneError }
