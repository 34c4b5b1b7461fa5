package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

func (t *tool) trustCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: "Whose packages the instance takes: list, add, remove and revoke keys",
		Long: `A package is taken if a key in .theseus/trust has signed it. Keys and signatures are minisign's. What these commands do
holds from the next package on; no daemon is needed, and none has to be told. A service that runs goes on running when
its key is removed or revoked, which "reltool status" shows; what does not run yet is refused.`,
		Example: `  reltool trust list
  reltool trust key > laptop.pub        # of the machine that builds
  reltool trust add laptop.pub          # on the machine that runs
  reltool trust revoke 5F1A0E62C8D94B37`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return t.trustList() },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "The keys", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return t.trustList() },
		},
		&cobra.Command{
			Use: "key", Short: "The public half of this machine's key, for others to add", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return t.trustKey() },
		},
		&cobra.Command{
			Use: "add FILE", Short: "Trust the public key in a file", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return t.trustAdd(args[0]) },
		},
		&cobra.Command{
			Use: "remove ID", Short: "Trust a key no longer; it may be added again", Args: cobra.ExactArgs(1),
			ValidArgsFunction: t.completeKeys,
			RunE:              func(_ *cobra.Command, args []string) error { return t.trustRemove(args[0]) },
		},
		&cobra.Command{
			Use: "revoke ID", Short: "Trust a key nevermore, not even if somebody adds it", Args: cobra.ExactArgs(1),
			ValidArgsFunction: t.completeKeys,
			RunE:              func(_ *cobra.Command, args []string) error { return t.trustRevoke(args[0]) },
		},
	)
	return c
}

// keys is the trust of the instance.
func (t *tool) keys() (trust.Dir, error) {
	dir, err := control.Find(t.dir)
	return trust.Of(dir), err
}

func (t *tool) completeKeys(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	d, err := t.keys()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	keys, _ := d.Keys()
	for _, k := range keys {
		ids = append(ids, string(k.ID)+"\t"+k.Comment)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (t *tool) trustList() error {
	d, err := t.keys()
	if err != nil {
		return err
	}
	keys, err := d.Keys()
	if err != nil {
		return withHint(err)
	}
	if t.json {
		return t.out.json(append([]trust.Key{}, keys...))
	}
	if len(keys) == 0 {
		fmt.Fprintf(t.out, "no key is trusted in %s; make one: %s\n", d.Path(), t.again("reltool init"))
		return nil
	}
	var tab table
	tab.add(dim, "KEY", "STATE", "COMMENT")
	for _, k := range keys {
		state, i := "trusted", ink("")
		if k.Local {
			state = "trusted, signs here"
		}
		if k.Revoked {
			state, i = "revoked", red
		}
		tab.add(i, string(k.ID), state, k.Comment)
	}
	tab.print(t.out)
	return nil
}

func (t *tool) trustKey() error {
	d, err := t.keys()
	if err != nil {
		return err
	}
	secret, err := d.Local()
	if err != nil {
		return noKey(d.LocalKey(), err)
	}
	k := secret.Public()
	if t.json {
		return t.out.json(k)
	}
	_, err = t.out.Write(k.Text())
	return err
}

func (t *tool) trustAdd(file string) error {
	d, err := t.keys()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	k, err := trust.ParseKey(text)
	if err != nil {
		return &hinted{fmt.Errorf("%s: %w", file, err), "on the machine that builds: reltool trust key"}
	}
	if k, err = d.Add(k); err != nil {
		return withHint(err)
	}
	return t.trusted(k.ID, "is trusted")
}

func (t *tool) trustRemove(text string) error {
	d, id, err := t.keyNamed(text)
	if err != nil {
		return err
	}
	if err := d.Remove(id); err != nil {
		return withHint(err)
	}
	if t.isLocal(d, id) {
		t.say("it is the key of this machine: what reltool build makes is refused now", "to trust it again: "+t.again("reltool init"))
	}
	return t.trusted(id, "is not trusted")
}

func (t *tool) trustRevoke(text string) error {
	d, id, err := t.keyNamed(text)
	if err != nil {
		return err
	}
	why := "revoked " + time.Now().UTC().Format(time.RFC3339)
	if u, err := user.Current(); err == nil {
		why += " by " + u.Username
	}
	if err := d.Revoke(id, why); err != nil {
		return withHint(err)
	}
	if t.isLocal(d, id) {
		t.say("it is the key of this machine: reltool build signs with it no more", "make another one: "+t.again("reltool init --new"))
	}
	return t.trusted(id, "is revoked")
}

func (t *tool) keyNamed(text string) (d trust.Dir, id trust.ID, err error) {
	if id, err = trust.ParseID(text); err != nil {
		return d, id, &usageError{text: err.Error()}
	}
	d, err = t.keys()
	return d, id, err
}

func (t *tool) isLocal(d trust.Dir, id trust.ID) bool {
	secret, err := d.Local()
	return err == nil && secret.Public().ID == id
}

// trusted says how a key stands now.
func (t *tool) trusted(id trust.ID, how string) error {
	if t.json {
		return t.out.json(map[string]string{"id": string(id), "state": how})
	}
	fmt.Fprintf(t.out, "key %s %s\n", id, how)
	return nil
}

// signer is who signs packages: the key in a file, or the one of the instance.
func (t *tool) signer(file string) (release.Signer, error) {
	d, err := t.keys()
	if err != nil {
		return release.Signer{}, err
	}
	path := file
	if path == "" {
		path = d.LocalKey()
	}
	secret, err := d.Load(path)
	if err != nil {
		return release.Signer{}, noKey(path, err)
	}
	if file != "" {
		return release.Signer{Key: secret}, nil
	}
	gone, err := d.Gone([]trust.ID{secret.Public().ID})
	if err != nil {
		return release.Signer{}, withHint(err)
	}
	var who *trust.UntrustedError
	if errors.As(gone[secret.Public().ID], &who) && who.Revoked {
		return release.Signer{}, revokedLocal(who.Key)
	}
	return release.Signer{Key: secret}, nil
}

// noKey says how to get a key.
func noKey(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &hinted{fmt.Errorf("there is no key to sign with: %s", path), "make one: reltool init"}
	}
	return withHint(err)
}

// withHint adds the command that mends what others could tamper with.
func withHint(err error) error {
	var unsafe *trust.UnsafeError
	if errors.As(err, &unsafe) {
		return &hinted{err, unsafe.Hint}
	}
	return err
}
