package rehearsal

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWhatAKilledRehearsalLeftIsRemovedByTheNext leaves alone what is in use, what is new, and what was kept on purpose.
func TestWhatAKilledRehearsalLeftIsRemovedByTheNext(t *testing.T) {
	parent := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	kept, lock, err := newWorkplace(parent, true, log)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	busy, lock, err := newWorkplace(parent, false, log)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	killed, fresh := filepath.Join(parent, workName+"killed"), filepath.Join(parent, workName+"fresh")
	foreign := filepath.Join(parent, "somebody-else's")
	for _, dir := range []string{killed, fresh, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "plain"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-time.Hour)
	for _, dir := range []string{kept, busy, killed, foreign} {
		if err := os.Chtimes(dir, before, before); err != nil {
			t.Fatal(err)
		}
	}
	next, lock, err := newWorkplace(parent, false, log)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for dir, wanted := range map[string]bool{kept: true, busy: true, killed: false, fresh: true, foreign: true, next: true} {
		if _, err := os.Stat(dir); (err == nil) != wanted {
			t.Errorf("%s: %v", filepath.Base(dir), err)
		}
	}
}
