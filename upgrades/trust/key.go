package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"aead.dev/minisign"
)

// ID is the id of a key, 16 hexadecimal digits as minisign prints them.
type ID string

func idOf(n uint64) ID { return ID(fmt.Sprintf("%016X", n)) }

// ParseID reads an id as people write it.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil || len(strings.TrimSpace(text)) != 16 {
		return "", fmt.Errorf("%q is no id of a key: want 16 hexadecimal digits, as `reltool trust list` shows them", text)
	}
	return idOf(n), nil
}

// Key is a public key.
type Key struct {
	ID      ID     `json:"id"`
	Public  string `json:"key"`               // as minisign -P takes it
	Comment string `json:"comment,omitempty"` // of its file; anybody may have written it
	File    string `json:"file,omitempty"`    // where it is
	Revoked bool   `json:"revoked,omitempty"`
	Local   bool   `json:"local,omitempty"` // this machine has its secret half

	key minisign.PublicKey
}

// ParseKey reads a public key in minisign's format.
func ParseKey(text []byte) (Key, error) {
	var k Key
	if err := k.key.UnmarshalText(bytes.TrimSpace(text)); err != nil {
		return k, errors.New("it is no public key of minisign")
	}
	k.ID, k.Public = idOf(k.key.ID()), k.key.String()
	if first, _, two := strings.Cut(string(text), "\n"); two {
		k.Comment = strings.TrimSpace(strings.TrimPrefix(first, "untrusted comment: "))
	}
	return k, nil
}

// Text is the key as a file, with its comment.
func (k Key) Text() []byte {
	comment := k.Comment
	if comment == "" {
		comment = "minisign public key " + string(k.ID)
	}
	return []byte("untrusted comment: " + comment + "\n" + k.Public + "\n")
}

// Secret is a secret key. Its zero value signs nothing.
type Secret struct{ key minisign.PrivateKey }

// Public is the other half.
func (s Secret) Public() Key {
	pub, _ := s.key.Public().(minisign.PublicKey)
	return Key{ID: idOf(pub.ID()), Public: pub.String(), key: pub}
}

// ParseSecret reads a secret key in minisign's format that has no password.
func ParseSecret(text []byte) (Secret, error) {
	var s Secret
	if minisign.IsEncrypted(bytes.TrimSpace(text)) {
		return s, errors.New("the key has a password; take it off with: minisign -C -W -s FILE")
	}
	if err := s.key.UnmarshalText(bytes.TrimSpace(text)); err != nil {
		return s, errors.New("it is no secret key of minisign")
	}
	return s, nil
}

// Sign signs a text together with a comment of one line. The same input gives the same bytes.
func (s Secret) Sign(text []byte, comment string) []byte {
	h := minisign.NewReader(bytes.NewReader(text))
	for buf := make([]byte, 1<<15); ; {
		if _, err := h.Read(buf); err != nil {
			break // the end: nothing else can happen in memory
		}
	}
	return h.SignWithComments(s.key, comment, "signature from key "+string(s.Public().ID))
}
