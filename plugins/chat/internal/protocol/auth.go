package protocol

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Auth knows who a client is. Without Tokens and Secret it is open: clients name themselves, by the field "user" of the data
// with which they connect.
type Auth struct {
	Tokens map[string]string // static tokens, and their users
	Secret []byte            // of JSON Web Tokens: HS256, HS384 or HS512, with sub, and exp and info if you like
}

// person is who a token belongs to.
type person struct {
	user    string
	info    []byte
	expires time.Time
}

var (
	errToken   = errors.New("invalid token")
	errExpired = errors.New("token expired")
)

// Open is true if anybody may come in.
func (a Auth) Open() bool { return len(a.Tokens) == 0 && len(a.Secret) == 0 }

// who tells whom a token belongs to.
func (a Auth) who(token string, data []byte) (person, error) {
	if a.Open() {
		return named(data), nil
	}
	if token == "" {
		return person{}, errToken
	}
	for known, user := range a.Tokens {
		if subtle.ConstantTimeCompare([]byte(known), []byte(token)) == 1 {
			return person{user: user}, nil
		}
	}
	if len(a.Secret) == 0 {
		return person{}, errToken
	}
	return a.signed(token)
}

// named is a client that says who it is.
func named(data []byte) person {
	var said struct {
		User string `json:"user"`
	}
	if json.Unmarshal(data, &said) != nil || said.User == "" || len(said.User) > maxUser {
		said.User = "guest-" + rand.Text()[:6]
	}
	return person{user: said.User}
}

// maxUser is how long a user's name may be.
const maxUser = 64

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
	case err != nil || c.Subject == "" || len(c.Subject) > maxUser || len(c.Info) > maxInfo:
		return person{}, errToken
	}
	p := person{user: c.Subject, info: c.Info}
	if c.ExpiresAt != nil {
		p.expires = c.ExpiresAt.Time
	}
	return p, nil
}

// maxInfo is how many bytes a token may tell of a user.
const maxInfo = 1024
