package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

func (t *tool) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove RELEASE",
		Short: "Forget a release and take its packages from the store",
		Long: `Forgets a release and takes those of its packages from the store that no other release needs. The release that runs and
the one that a rollback leads to stay. The history keeps what happened; the number is not given again.`,
		Example:           "  reltool remove v3",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeReleases,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.remove(cmd.Context(), args[0])
		},
	}
}

func (t *tool) remove(ctx context.Context, name string) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	removed, err := c.Remove(ctx, control.RemoveRequest{Release: name})
	if err != nil {
		return err
	}
	if t.json {
		return t.out.json(removed)
	}
	packages := "its packages are needed by other releases"
	if len(removed.Packages) > 0 {
		packages = "no longer in the store: " + strings.Join(removed.Packages, ", ")
	}
	fmt.Fprintf(t.out, "release removed: %s\n  %s\n", removed.Release, packages)
	return nil
}
