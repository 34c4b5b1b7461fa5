package room

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/otp"
)

// away is how long a member may be on its way to another version of the chat; after it the member has left.
var away = 10 * time.Second

// Depart says that a member is about to leave for another version of the chat, and to come back there. Nobody is told, unless it does
// not come.
type Depart struct {
	otp.Reply[struct{}]
	Who Who
}

// overdue is a member that has not come.
type overdue struct{ Client string }

// traveller is a member that is away, and what ends the wait for it.
type traveller struct {
	Who   Who       `json:"who"`
	Timer otp.Timer `json:"timer"`
}

func (k *kind) depart(c *otp.Ctx, p *process, d Depart) (none struct{}, err error) {
	if p.Away == nil {
		p.Away = map[string]traveller{}
	}
	p.Away[d.Who.Client] = traveller{d.Who, c.SendAfter(away, overdue{d.Who.Client})}
	return none, nil
}

// back forgets that a member was away.
func (p *process) back(c *otp.Ctx, client string) {
	c.Cancel(p.Away[client].Timer)
	delete(p.Away, client)
}

func (k *kind) overdue(_ *otp.Ctx, p *process, o overdue) error {
	if t, is := p.Away[o.Client]; is {
		delete(p.Away, o.Client)
		k.audience.Tell(&Event{Room: p.Name, Kind: Left, Who: t.Who})
	}
	return nil
}

// travellers are those who are away, by user.
func (p *process) travellers() (list []Who) {
	for _, t := range p.Away {
		list = append(list, t.Who)
	}
	sortWho(list)
	return list
}

func sortWho(list []Who) {
	slices.SortFunc(list, func(a, b Who) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Client, b.Client))
	})
}
