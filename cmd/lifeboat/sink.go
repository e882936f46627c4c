package main

import "github.com/spf13/cobra"

func newSink(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Put a bucket or directory to the test, and print what its credentials should be allowed",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSinkCheck(g), newSinkPolicy(g))
	return cmd
}

// sinkFlags are what goes with sinks that are named as arguments.
type sinkFlags struct {
	flags
	credentialsFile, caFile string
}

func (f *sinkFlags) beside(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.credentialsFile, "credentials-file", "", "`FILE` with the credentials for URL (AWS's format), instead of the surroundings'")
	cmd.Flags().StringVar(&f.caFile, "ca-file", "", "`FILE` with certificates to trust for URL besides the system's")
}

// places are the sinks named as arguments, or those of flags and configuration.
func (f *sinkFlags) places(cmd *cobra.Command, args []string) ([]sinkPlace, error) {
	places, err := f.settle(cmd)
	if err != nil {
		return nil, err
	}
	beside := f.credentialsFile != "" || f.caFile != ""
	if len(args) > 0 {
		places = nil
		for _, named := range args {
			p, err := f.place("sink", named)
			if err != nil {
				return nil, err
			}
			places = append(places, p)
		}
	} else if beside && len(f.sinks) == 0 {
		return nil, &usageError{"--credentials-file and --ca-file go with a URL", "give the URL as well; sinks of the configuration name their own"}
	}
	if len(places) == 0 {
		return nil, &usageError{"no sink is given", "name one, for example s3://bucket/prefix?region=eu-central-1, or a --config that has some"}
	}
	for i := range places {
		if f.credentialsFile != "" {
			places[i].credentialsFile = f.credentialsFile
		}
		if f.caFile != "" {
			places[i].caFile = f.caFile
		}
	}
	return places, nil
}
