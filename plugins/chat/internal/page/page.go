// Package page is the chat in a browser: rooms, what is said in one, who is here, and whether the page is connected.
//
// The server renders a page with the newest messages and the position behind them; a script hands that position to the
// official client of Centrifuge, which goes on from there. So nothing that is said between the two is missed, and an upgrade
// of the service reloads nothing: the page stays, with what is being typed in it.
//
// If the chat is not open (see protocol.Auth) the page is rendered without what is said, which the script asks for with the
// token of its user.
package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// A page begins with so many messages, and bytes of them, at most.
const (
	Shown    = 50
	maxShown = 1 << 20
)

var (
	//go:embed assets
	files embed.FS
	//go:embed page.html
	text string
	page = template.Must(template.New("page").Parse(text))
)

// policy lets the page load what comes from here, and nothing else; no other page may frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Page shows rooms.
type Page struct {
	Rooms *room.Rooms
	Open  bool // to everybody who can reach it
}

// Handler has the page of the chat, /, those of its rooms, /rooms/NAME, and what they load.
func (p Page) Handler() http.Handler {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { p.show(w, "") })
	mux.HandleFunc("GET /rooms/{name}", func(w http.ResponseWriter, r *http.Request) { p.show(w, r.PathValue("name")) })
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// view is what page.html shows.
type view struct {
	Open    bool
	Rooms   []link
	Name    string // of the room, if it shows one
	Missing string // a room that was asked for, and is none
	Room    room.Room
	Lines   []Line
	Oldest  uint64 // up to where the history was looked at
	More    bool   // there are older ones
}

type link struct {
	Name string
	Path string
	Here bool
}

func (p Page) show(w http.ResponseWriter, name string) {
	status := http.StatusOK
	v, err := p.view(name)
	if errors.Is(err, room.ErrNoRoom) {
		status, err = http.StatusNotFound, nil
		v.Name, v.Missing = "", name
	}
	var b bytes.Buffer
	if err == nil {
		err = page.Execute(&b, v)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked may be gone
}

func (p Page) view(name string) (v view, err error) {
	v = view{Open: p.Open, Name: name}
	if !p.Open {
		return v, nil
	}
	names, err := p.Rooms.Names()
	for _, n := range names {
		v.Rooms = append(v.Rooms, link{n, "/rooms/" + url.PathEscape(n), n == name})
	}
	if err != nil || name == "" {
		return v, err
	}
	if v.Room, err = p.Rooms.Find(name); err != nil {
		return v, err
	}
	return v, p.fill(&v)
}

// fill adds the newest messages.
func (p Page) fill(v *view) error {
	if v.Room.Last < v.Room.First {
		return nil
	}
	list, err := p.Rooms.Range(v.Name, v.Room.Last, v.Room.First, room.Limit{Count: Shown, Bytes: maxShown})
	for _, e := range slices.Backward(list) {
		if l, ok := lineOf(e); ok {
			v.Lines = append(v.Lines, l)
		}
	}
	if len(list) > 0 {
		v.Oldest = list[len(list)-1].Offset
	}
	v.More = v.Oldest > v.Room.First
	return err
}

// Line is one message of a page.
type Line struct {
	room.Entry
	Kind string // "edited", "deleted" or ""
}

// lineOf leaves out the messages that tell of a change of another one, which is shown where it stands.
func lineOf(e room.Entry) (Line, bool) {
	var said struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(e.Data, &said) // any JSON may be said
	switch {
	case said.Type == "edit", said.Type == "delete":
		return Line{}, false
	case e.Deleted:
		return Line{e, "deleted"}, true
	case !e.Edited.IsZero():
		return Line{e, "edited"}, true
	}
	return Line{e, ""}, true
}

// Clock is when the message was said, where the server is; the script says it where the reader is.
func (l Line) Clock() string { return l.At.Format("2006-01-02 15:04") }

// Stamp is when, for programs.
func (l Line) Stamp() string { return l.At.UTC().Format("2006-01-02T15:04:05Z") }
