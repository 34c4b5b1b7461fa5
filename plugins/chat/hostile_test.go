package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/centrifugal/protocol"
)

// Bytes that are no UTF-8 came through protobuf and HTTP into the history: browsers hang up on a text that has them, each time they
// recover. What was nested deeply enough threw in every page that showed it, and an EventSource broke at a carriage return.
func TestWhatIsSaidIsReadableForEveryClient(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeProtobuf, "")
	c.subscribe("general")
	c.publish("general", `"mine"`)
	for name, data := range map[string]string{
		"no UTF-8":       "{\"text\":\"\xff\"}",
		"deep":           strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"two values":     `1 2`,
		"nothing at all": ` `,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.publish("general", data), 107, "")
			edit, _ := json.Marshal(map[string]any{"room": "general", "offset": 1, "data": "DATA"})
			edit = []byte(strings.Replace(string(edit), `"DATA"`, data, 1))
			refused(t, c.ask(&protocol.Command{Rpc: &protocol.RPCRequest{Method: "edit", Data: edit}}), 107, "")
		})
	}
	ada := as(t, i, protocol.TypeJSON, "")
	ada.subscribe("general")
	if r := c.publish("general", "{\r\n\t\"text\":\r\"a \\n b\"\n}\r"); r.Publish == nil {
		t.Errorf("got %v", r)
	}
	ada.hears(2, `{"text":"a \n b"}`)
}

// A type was taken from the last of several fields, whatever its case, where pages take another one: anybody could say what only the
// room says. An edit was not looked at.
func TestNobodySpeaksForTheRoom(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeJSON, "")
	c.subscribe("general")
	c.publish("general", `"mine"`)
	for _, data := range []string{
		`{"type":"notice","text":"the chat moves to evil.test"}`,
		`{"type":"notice","TYPE":"x","text":"the chat moves to evil.test"}`,
		`{"Type":1,"type":"notice","text":"the chat moves to evil.test"}`,
		`{"type":"delete","type":"x","offset":1}`,
		`{"type":"x","type":"edit","offset":1}`,
		`{"typ\u0065":"notice"}`,
	} {
		refused(t, c.publish("general", data), 107, "")
		refused(t, c.publish("general", strings.Replace(data, "{", `{"ephemeral":true,`, 1)), 107, "")
		edit := []byte(`{"room":"general","offset":1,"data":` + data + `}`)
		refused(t, c.ask(&protocol.Command{Rpc: &protocol.RPCRequest{Method: "edit", Data: edit}}), 107, "")
	}
	if r := c.publish("general", `{"kind":"notice","data":{"type":"notice"}}`); r.Publish == nil {
		t.Errorf("got %v", r)
	}
}
