package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/rogpeppe/go-internal/testscript"
)

// browser is a page of the chat in Chromium, with a profile of its own.
type browser struct {
	user string
	tab  context.Context
}

// browsers works with pages of the chat, one for each user.
func browsers(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	switch {
	case !neg && len(args) > 2 && args[0] == "open" && i.browsers == nil:
		i.browsers = openBrowsers(ts, i.chat, args[1], args[2:])
	case !neg && len(args) > 2 && args[0] == "visit":
		i.browsers = append(i.browsers, visit(ts, i.chat, args[1], args[2:], false)...)
	case !neg && len(args) == 2 && args[0] == "leave":
		b := i.browser(ts, args[1])
		ts.Check(chromedp.Cancel(b.tab))
		i.browsers = slices.DeleteFunc(i.browsers, func(other browser) bool { return other == b })
	case !neg && len(args) == 3 && args[0] == "sign":
		b := i.browser(ts, args[1])
		b.say(ts, `$('me').reset()`)
		b.do(ts, chromedp.SendKeys(`#me input`, args[2]+kb.Enter))
	case !neg && len(args) == 3 && args[0] == "until":
		i.browser(ts, args[1]).until(ts, args[2])
	case !neg && len(args) == 3 && args[0] == "say":
		i.browser(ts, args[1]).do(ts, chromedp.SendKeys(box, args[2]+kb.Enter))
		for _, b := range i.browsers {
			b.until(ts, fmt.Sprintf(`[...document.querySelectorAll('#lines li[data-offset] p')].filter((p) => p.textContent === %q).length === 1`, args[2]))
		}
	case !neg && len(args) == 3 && args[0] == "type":
		i.browser(ts, args[1]).do(ts, chromedp.SendKeys(box, args[2]))
	case !neg && len(args) == 1 && args[0] == "look":
		for _, b := range i.browsers {
			fmt.Fprintln(ts.Stdout(), b.look(ts))
		}
	default:
		ts.Fatalf("usage: browsers open ROOM USER..., visit ROOM USER..., leave USER, sign USER TOKEN, say USER TEXT, type USER TEXT, until USER SCRIPT, look")
	}
}

// canBrowse is true if there is a Chromium here that runs, which not every container lets it.
func canBrowse() (bool, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--dump-dom", "data:text/html,<p>yes")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	text, err := cmd.Output()
	return err == nil && strings.Contains(string(text), "<p>yes"), nil
}

// box is where people type.
const box = "#say textarea"

// openBrowsers has people in a room.
func openBrowsers(ts *testscript.TestScript, addr, room string, users []string) []browser {
	list := visit(ts, addr, room, users, true)
	for _, b := range list {
		b.until(ts, fmt.Sprintf(`document.querySelectorAll('#here li').length === %d`, len(users)))
		b.say(ts, `states = [], new MutationObserver(() => states.push($('state').textContent)).observe($('state'), { childList: true })`)
	}
	return list
}

// visit has people look at a room, with their names if the chat is open.
func visit(ts *testscript.TestScript, addr, room string, users []string, open bool) (list []browser) {
	chromium, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox,
		chromedp.Env("TMPDIR="+ts.Getenv("TMPDIR")), // the script's own: a browser that is killed leaves its files
	)...)
	ts.Defer(stop)
	for _, user := range users {
		tab, end := chromedp.NewContext(chromium)
		ts.Defer(end)
		ts.Check(chromedp.Do(tab)) // it starts, and ends with this context
		b := browser{user, tab}
		if open {
			b.do(ts, chromedp.Navigate("http://"+addr+"/"))
			b.say(ts, fmt.Sprintf(`localStorage.setItem('user', %q)`, user))
		}
		b.do(ts, chromedp.Navigate("http://"+addr+"/rooms/"+room))
		list = append(list, b)
	}
	return list
}

func (i *instance) browser(ts *testscript.TestScript, user string) browser {
	for _, b := range i.browsers {
		if b.user == user {
			return b
		}
	}
	ts.Fatalf("%s has no browser", user)
	return browser{}
}

func (b browser) do(ts *testscript.TestScript, a chromedp.Action[chromedp.Void]) {
	ctx, stop := context.WithTimeout(b.tab, patience)
	defer stop()
	ts.Check(chromedp.Do(ctx, a))
}

// say has the page do something, and returns what comes of it.
func (b browser) say(ts *testscript.TestScript, script string) string {
	ctx, stop := context.WithTimeout(b.tab, patience)
	defer stop()
	said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`String(`+script+`)`))
	ts.Check(err)
	return said
}

// until waits for something to be true of the page.
func (b browser) until(ts *testscript.TestScript, what string) {
	for end := time.Now().Add(patience); b.say(ts, what) != "true"; time.Sleep(askEvery) {
		if time.Now().After(end) {
			ts.Fatalf("%s: never true: %s; it shows:\n%s", b.user, what, b.say(ts, `document.body.innerText`))
		}
	}
}

// look tells whether the page is the one that was opened, which states its connection went through, and what is in
// the box.
func (b browser) look(ts *testscript.TestScript) string {
	states := b.say(ts, `typeof states === 'undefined' ? 'loaded again' : states.join(' ')`)
	return strings.Join([]string{
		b.user + ":", "states=[" + states + "]", "box=[" + b.say(ts, `box.value`) + "]", "state=[" + b.say(ts, `$('state').textContent`) + "]",
	}, " ")
}
