package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build (-ldflags "-X main.version=…").
var version = "dev"

// etcdVersion is the version of the built-in etcd, read from the module list that the linker stored.
func etcdVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "go.etcd.io/etcd/server/v3" {
				return m.Version
			}
		}
	}
	return "unknown"
}

func newVersion(g *global) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of Lifeboat and of the etcd built into it",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := f.check(); err != nil {
				return err
			}
			v := struct {
				Version string `json:"version"`
				Etcd    string `json:"etcd"`
				Go      string `json:"go"`
				Format  int    `json:"format"`
			}{version, etcdVersion(), runtime.Version(), 1}
			if f.output == "json" {
				return g.printJSON(v)
			}
			_, err := fmt.Fprintf(g.out, "lifeboat %s, built-in etcd %s, bucket format %d, %s\n", v.Version, v.Etcd, v.Format, v.Go)
			return err
		},
	}
	f.printing(cmd)
	return cmd
}
