package state_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/theseusd/theseus/sdk/state"
)

type visit struct {
	User  string `json:"user"`
	Count int64  `json:"count"`
}

func ExampleNewTable() {
	dir, err := os.MkdirTemp("", "visits")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := state.Open(dir, state.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	visits := state.NewTable(s, "visits", state.Schema[visit]{Name: "visit"})

	ctx := context.Background() // a service's tables are loaded and activated for it
	if _, err := s.Load(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := s.Activate(ctx, nil); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		_, err := visits.Update("ada", func(v visit, _ bool) (visit, error) {
			return visit{User: "ada", Count: v.Count + 1}, nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	v, ok := visits.Get("ada")
	fmt.Println(v.User, v.Count, ok)
	fmt.Println(s.Tables()[0].Shape)
	// Output:
	// ada 3 true
	// {user:string,count:int64}
}

type personV1 struct{ Name string }

type person struct{ First, Last string }

// The newer version splits the name. Down keeps where it was split, which the older type cannot hold.
func ExampleStep() {
	people := state.Schema[person]{Name: "person", Version: 2, Steps: []state.AnyStep{state.Step[personV1, person]{
		From: 1,
		Up: func(_ string, old personV1, rest []byte) (person, error) {
			if at := len(rest); at > 0 && at <= len(old.Name) {
				return person{First: old.Name[:at], Last: old.Name[at:]}, nil
			}
			first, last, _ := strings.Cut(old.Name, " ")
			return person{First: first, Last: last}, nil
		},
		Down: func(_ string, p person) (personV1, []byte, error) {
			return personV1{Name: p.First + p.Last}, []byte(strings.Repeat(".", len(p.First))), nil
		},
	}}}
	fmt.Println(people.Name, people.Version, len(people.Steps))
	// Output: person 2 1
}

// A version that only adds a field with a default needs no step by hand.
func ExampleAdd() {
	type visitV2 struct {
		User  string `json:"user"`
		Count int64  `json:"count"`
		Tag   string `json:"tag"`
	}
	visits := state.Schema[visitV2]{Name: "visit", Version: 2, Steps: []state.AnyStep{
		state.Add{From: 1, Fields: map[string]any{"tag": "none"}},
	}}
	fmt.Println(visits.Version)
	// Output: 2
}
