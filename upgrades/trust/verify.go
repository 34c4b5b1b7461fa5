package trust

import (
	"errors"
	"fmt"

	"aead.dev/minisign"
)

// ErrNoKey says that no key is trusted here. It says nothing about the signature.
var ErrNoKey = errors.New("no key is trusted here")

// UntrustedError is a signature by a key that is not trusted.
type UntrustedError struct {
	Key     ID
	Revoked bool
}

func (e *UntrustedError) Error() string {
	if e.Revoked {
		return fmt.Sprintf("the key %s that signed it was revoked", e.Key)
	}
	return fmt.Sprintf("the key %s that signed it is not trusted here", e.Key)
}

// SignatureError is a signature that is none, or of something else.
type SignatureError struct{ Reason string }

func (e *SignatureError) Error() string { return e.Reason }

// Verify returns the id of the trusted key that signed exactly this text and comment. The errors that are about the
// signature are *SignatureError and *UntrustedError.
func (d Dir) Verify(text, signature []byte, comment string) (ID, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return "", &SignatureError{"its signature is not in minisign's format"}
	}
	if s.Algorithm != minisign.HashEdDSA {
		return "", &SignatureError{"its signature is in minisign's legacy format"}
	}
	ring, err := d.load()
	if err != nil {
		return "", err
	}
	id := idOf(s.KeyID)
	key, err := ring.find(id)
	if err != nil {
		return "", err
	}
	if !minisign.Verify(key.key, text, signature) {
		return "", &SignatureError{fmt.Sprintf("its signature by %s is not of this content", id)}
	}
	if s.TrustedComment != comment {
		return "", &SignatureError{fmt.Sprintf("its signature is of %q, not of %q", s.TrustedComment, comment)}
	}
	return id, nil
}

// SignerOf is the id of the key that a signature says has made it, "" if it is none. Only Verify knows whether it has.
func SignerOf(signature []byte) ID {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return ""
	}
	return idOf(s.KeyID)
}

// find returns the key that a signature names, if that is trusted.
func (r *ring) find(id ID) (Key, error) {
	if r.revokedIDs[id] {
		return Key{}, &UntrustedError{Key: id, Revoked: true}
	}
	trusted := 0
	for _, k := range r.keys {
		switch {
		case k.ID == id && k.Revoked:
			return Key{}, &UntrustedError{Key: id, Revoked: true}
		case k.ID == id:
			return k, nil
		case !k.Revoked:
			trusted++
		}
	}
	if trusted == 0 {
		return Key{}, ErrNoKey
	}
	return Key{}, &UntrustedError{Key: id}
}
