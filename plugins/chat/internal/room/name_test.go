package room

import (
	"errors"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check func(string) error
		word  string
		want  error
	}{
		{"a room", CheckName, "team:general-1_a.b", nil},
		{"a room without a name", CheckName, "", ErrName},
		{"a room with other letters", CheckName, "größe", ErrName},
		{"a room with a slash", CheckName, "a/b", ErrName},
		{"a room with a long name", CheckName, strings.Repeat("x", 65), ErrName},
		{"a user", CheckUser, "Ada Lovelace", nil},
		{"a user with other letters", CheckUser, "李雷 👩‍👩‍👧", nil},
		{"a user with 64 characters", CheckUser, strings.Repeat("ü", 64), nil},
		{"a user without a name", CheckUser, "", ErrUser},
		{"a user with a long name", CheckUser, strings.Repeat("x", 65), ErrUser},
		{"a user that colours a terminal", CheckUser, "\x1b[31mada", ErrUser},
		{"a user that ends a line", CheckUser, "ada\nbob", ErrUser},
		{"a user that turns a line", CheckUser, "a\u202eb", ErrUser},
		{"a user that is no UTF-8", CheckUser, "a\xff", ErrUser},
		{"a user with a space", CheckUser, " ada", ErrUser},
		{"a user that is a space", CheckUser, "\u00a0", ErrUser},
		{"an id", CheckID, "1", nil},
		{"no id", CheckID, "", ErrID},
		{"a long id", CheckID, strings.Repeat("x", 129), ErrID},
	} {
		if err := tt.check(tt.word); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}
