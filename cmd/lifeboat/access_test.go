package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestPrintedCommandsNameASinkAsItWasGiven: by a name in the configuration a sink is no path, and files mean the same from wherever the
// command is run.
func TestPrintedCommandsNameASinkAsItWasGiven(t *testing.T) {
	f := &flags{config: "lifeboat.yaml", cluster: "prod", sinks: []string{"primary", "file:///var/backups"}, identities: []string{"backup.key"}}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"--config", filepath.Join(here, "lifeboat.yaml"), "--cluster", "prod", "--sink", "primary", "--sink", "file:///var/backups",
		"--identity", filepath.Join(here, "backup.key"),
	}
	if got := f.access(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
