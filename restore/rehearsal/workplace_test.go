package rehearsal

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/restore"
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

// TestTooLittleRoomIsToldWithWhatARehearsalCanDoAboutIt, which is not what a restore can.
func TestTooLittleRoomIsToldWithWhatARehearsalCanDoAboutIt(t *testing.T) {
	t.Parallel()
	path, _ := lab.Snapshot34(t)
	for members, want := range map[int]string{
		1: "make room, or give a directory on another disk with --dir; to go on all the same, give --ignore-free-space",
		3: "make room, or give a directory on another disk with --dir, or have fewer --members; to go on all the same, give --ignore-free-space",
	} {
		o := options(t, path)
		o.Members, o.Plan.Source.Size = members, 1<<50
		_, err := Run(t.Context(), o, restore.Deps{})
		var refusal *restore.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("with %d members: %v", members, err)
		}
		if refusal.Hint() != want {
			t.Errorf("with %d members: advised is %q", members, refusal.Hint())
		}
	}
}
