package protocol

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Clients that had named themselves while the chat was open stayed under those names in one that wants tokens, and so did whoever had one
// that was taken away.
func TestWhoMayNotComeInAgainDoesNotTravel(t *testing.T) {
	const open, ada, secret = "open", "the token of ada", "a secret"
	auths := map[string]Auth{
		open: {}, ada: {Tokens: map[string]string{"token-of-ada": "ada"}}, secret: {Secret: []byte(strings.Repeat("s", 32))},
		"the token of bob": {Tokens: map[string]string{"token-of-bob": "bob"}},
		"both":             {Tokens: map[string]string{"another": "ada"}, Secret: []byte(strings.Repeat("t", 32))},
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada"}).SignedString(auths[secret].Secret)
	if err != nil {
		t.Fatal(err)
	}
	rooms := startRooms(t)
	for from, token := range map[string]string{open: "", ada: "token-of-ada", secret: signed} {
		w := &wire{session: fresh(formJSON)}
		c := New(rooms, Options{Auth: auths[from]}).enter(w)
		c.commands([]byte(`{"id":1,"connect":{"token":"` + token + `"}}`))
		c.commands([]byte(subscribe))
		c.s.exit(c, true)
		for to, auth := range auths {
			next := &wire{session: w.session}
			c := New(rooms, Options{Auth: auth}).enter(next)
			stays := to == open || to == from || to == "both" && from != open
			if stays != (next.closed == 0) || !stays && next.closed != 3500 || rooms.Size("general") != 1 {
				t.Errorf("from %s to %s: closed with %d, and %d are in the room", from, to, next.closed, rooms.Size("general"))
			}
			c.s.exit(c, false)
		}
	}
}

// What a token told of its user went to everybody as it was, and what cannot be said ended those who asked who was there.
func TestWhatATokenTellsIsReadable(t *testing.T) {
	a := Auth{Secret: []byte(strings.Repeat("s", 32))}
	for _, tt := range []struct{ info, want string }{
		{"{\"name\":\n\"Ada\"}", `{"name":"Ada"}`},
		{"{\"name\":\"\xff\"}", ""},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), ""},
	} {
		head := "eyJhbGciOiJIUzI1NiJ9" // {"alg":"HS256"}
		words := head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"ada","info":`+tt.info+`}`))
		sum, err := jwt.SigningMethodHS256.Sign(words, a.Secret)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.who(words+"."+base64.RawURLEncoding.EncodeToString(sum), nil)
		if (err != nil) != (tt.want == "") || string(p.info) != tt.want {
			t.Errorf("%q: got %q, %v", tt.info, p.info, err)
		}
	}
}

// The end of a token that is good for centuries was told as one in a moment, and its client asked for another.
func TestATokenThatIsGoodForCenturies(t *testing.T) {
	for in, want := range map[time.Duration]uint32{-time.Hour: 1, time.Hour: 3599, 1<<33*time.Second + 5: math.MaxUint32} {
		if expires, ttl := remaining(time.Now().Add(in)); !expires || ttl != want {
			t.Errorf("in %s: got %v, %d", in, expires, ttl)
		}
	}
	if expires, _ := remaining(time.Time{}); expires {
		t.Error("one without an end has one")
	}
}
