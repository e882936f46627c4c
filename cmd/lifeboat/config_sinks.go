package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// sinkConfig is what the configuration says of a sink.
type sinkConfig struct {
	URL             string `yaml:"url"`
	CredentialsFile string `yaml:"credentials-file"`
	CAFile          string `yaml:"ca-file"`
	ReadBack        string `yaml:"read-back"`
}

// sinkPlace is a sink before it is opened: its URL, and what goes with it.
type sinkPlace struct {
	url, credentialsFile, caFile string

	readBack catalog.ReadBackMode // of backups
}

// place is the sink of a configuration that was checked.
func (s sinkConfig) place() sinkPlace {
	mode, err := catalog.ParseReadBackMode(s.ReadBack)
	if err != nil {
		mode = catalog.ReadBackAlways // the strongest, whoever forgot to check
	}
	return sinkPlace{s.URL, s.CredentialsFile, s.CAFile, mode}
}

// place is a sink as a person names it: by its URL, or by its name in the configuration, with the files that go with it there.
func (f *flags) place(flag, named string) (sinkPlace, error) {
	if s, ok := f.known[named]; ok {
		return s.place(), nil
	}
	if strings.ContainsAny(named, ":/") {
		return sinkPlace{url: named, readBack: catalog.ReadBackAlways}, nil
	}
	e := &usageError{fmt.Sprintf("%s %s is neither a URL nor the name of a sink in the configuration", flag, named), "write s3://bucket/prefix, gs://bucket/prefix or file:///directory"}
	switch {
	case f.config == "":
		e.hint += "; names are those under sinks in the file of --config"
	case len(f.known) > 0:
		e.hint += "; the configuration has: " + strings.Join(slices.Sorted(maps.Keys(f.known)), ", ")
	}
	return sinkPlace{}, e
}

// readAllBack lets --read-back win over what the configuration says of each sink.
func (f *flags) readAllBack(places []sinkPlace) ([]sinkPlace, error) {
	if f.readBack == "" {
		return places, nil
	}
	mode, err := catalog.ParseReadBackMode(f.readBack)
	if err != nil {
		return nil, &usageError{"--read-back: " + err.Error(), "leave it out to read back every backup in full"}
	}
	for i := range places {
		places[i].readBack = mode
	}
	return places, nil
}
