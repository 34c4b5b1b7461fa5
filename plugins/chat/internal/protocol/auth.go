package protocol

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// Auth knows who a client is. Without Tokens and Secret it is open: clients name themselves, by the field "user" of the data
// with which they connect.
type Auth struct {
	Tokens map[string]string // static tokens, and their users
	Secret []byte            // of JSON Web Tokens: HS256, HS384 or HS512, with sub, and exp and info if you like
}

// proof is how a client has said who it is.
type proof uint8

const (
	unknown  proof = iota // to a version that kept no note of it
	byName                // nothing more: the chat was open
	byToken               // a static one
	bySecret              // it had a token that was signed
)

// person is who a token belongs to.
type person struct {
	user    string
	proof   proof
	info    []byte
	expires time.Time
}

var (
	errToken   = errors.New("invalid token")
	errSubject = &farewell{byeToken.code, "sub of the token: " + room.ErrUser.Error()}
	errExpired = errors.New("token expired")
)

// Open is true if anybody may come in.
func (a Auth) Open() bool { return len(a.Tokens) == 0 && len(a.Secret) == 0 }

// who tells whom a token belongs to.
func (a Auth) who(token string, data []byte) (person, error) {
	if a.Open() {
		return named(data)
	}
	if token == "" {
		return person{}, errToken
	}
	for known, user := range a.Tokens {
		if subtle.ConstantTimeCompare([]byte(known), []byte(token)) == 1 {
			return person{user: user, proof: byToken}, nil
		}
	}
	if len(a.Secret) == 0 {
		return person{}, errToken
	}
	return a.signed(token)
}

// named is a client that says who it is, or somebody with a name of the chance.
func named(data []byte) (person, error) {
	var said struct {
		User string `json:"user"`
	}
	if json.Unmarshal(data, &said) != nil || said.User == "" {
		said.User = "guest-" + rand.Text()[:6]
	}
	return person{user: said.User, proof: byName}, room.CheckUser(said.User)
}

// holds is false for a client that could not say any more who it is as it has: the settings are others now.
func (a Auth) holds(user string, p proof) bool {
	switch {
	case a.Open():
		return true
	case p == byToken:
		return slices.Contains(slices.Collect(maps.Values(a.Tokens)), user)
	case p == bySecret:
		return len(a.Secret) > 0
	}
	return p == unknown
}

type claims struct {
	jwt.RegisteredClaims
	Info json.RawMessage `json:"info"`
}

func (a Auth) signed(token string) (person, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return a.Secret, nil },
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return person{}, errExpired
	case err != nil || len(c.Info) > maxInfo:
		return person{}, errToken
	case room.CheckUser(c.Subject) != nil:
		return person{}, errSubject
	}
	p := person{user: c.Subject, proof: bySecret}
	if p.info, err = room.Tidy(c.Info); err != nil && len(c.Info) > 0 {
		return person{}, errToken
	}
	if c.ExpiresAt != nil {
		p.expires = c.ExpiresAt.Time
	}
	return p, nil
}

// maxInfo is how many bytes a token may tell of a user.
const maxInfo = 1024
