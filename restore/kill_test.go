package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestAFailureAtAnyPointLeavesNothing fails, and then cancels, a restore at every point.
func TestAFailureAtAnyPointLeavesNothing(t *testing.T) {
	t.Parallel()
	g := newGallows(t)
	for _, exists := range []bool{false, true} {
		_, out := destination(t, exists)
		points := g.points(t, out)
		if len(points) < 10 {
			t.Fatalf("only %d points: %v", len(points), points)
		}
		for _, point := range points {
			t.Run(fmt.Sprintf("%s, out exists %v", point, exists), func(t *testing.T) {
				t.Parallel()
				last := strings.HasPrefix(point, "move ") || point == "complete"
				for _, cancelled := range []bool{false, true} {
					for _, named := range []bool{false, true} {
						g.failAt(t, point, exists, cancelled, named, last)
					}
				}
			})
		}
	}
}

func (g gallows) failAt(t *testing.T, point string, exists, cancelled, named, last bool) {
	t.Helper()
	parent, out := destination(t, exists)
	before := tree(t, parent)
	boom := errors.New("boom")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	d := g.deps()
	d.named = named
	d.at = func(p string) error {
		if p != point {
			return nil
		}
		if cancelled {
			cancel(boom)
			return nil
		}
		return boom
	}
	defer forget(t, parent)
	_, err := Run(ctx, g.plan(out), d)
	if err == nil && cancelled && last {
		return // too late to be stopped: the directories were complete
	}
	if !errors.Is(err, boom) {
		t.Errorf("cancelled %v, named %v: got %v", cancelled, named, err)
	}
	if after := tree(t, parent); after != before {
		t.Errorf("cancelled %v, named %v: it leaves:\n%s", cancelled, named, after)
	}
}

// TestAKillAtAnyPointLeavesNothingStartable kills a restore with SIGKILL at every point, and sees the next one clean up.
func TestAKillAtAnyPointLeavesNothingStartable(t *testing.T) {
	t.Parallel()
	g := newGallows(t)
	for _, exists := range []bool{false, true} {
		_, out := destination(t, exists)
		for _, point := range g.points(t, out) {
			t.Run(fmt.Sprintf("%s, out exists %v", point, exists), func(t *testing.T) {
				t.Parallel()
				for _, named := range []bool{false, true} {
					parent, out := destination(t, exists)
					s := g.text
					s.Out, s.Named, s.KillAt = out, named, point
					if killed, last := g.run(t, s, "", 0); !killed {
						t.Fatalf("it was not killed at %s but ended after %s", point, last)
					}
					finishing := strings.HasPrefix(point, "database of") || strings.HasPrefix(point, "log of") || point == "complete" || strings.HasPrefix(point, "move ")
					g.aftermath(t, parent, out, !named && !finishing)
					g.again(t, parent, out)
					forget(t, parent)
				}
			})
		}
	}
}

// again restores into the place of a killed restore, if that has not got so far as to make directories.
func (g gallows) again(t *testing.T, parent, out string) {
	t.Helper()
	made, err := os.ReadDir(out)
	if err == nil && slices.ContainsFunc(made, func(e fs.DirEntry) bool { return !partialName.MatchString(e.Name()) }) {
		return
	}
	// A child that the victim was just starting holds its descriptors until it runs, and with them the lock.
	for deadline := time.Now().Add(10 * time.Second); len(leftovers(parent, "out"))+len(leftovers(out, "out")) < stages(parent)+stages(out); {
		if time.Now().After(deadline) {
			t.Fatal("the stage of a killed restore stays locked")
		}
		time.Sleep(10 * time.Millisecond)
	}
	mustRun(t, g.plan(out), g.deps())
	for _, dir := range []string{parent, out} {
		if left := leftovers(dir, "out"); len(left) > 0 {
			t.Errorf("the next restore leaves %v", left)
		}
	}
}

// stages counts the stages in a folder, locked or not.
func stages(dir string) (n int) {
	entries, _ := os.ReadDir(dir) // no folder, no stages
	for _, e := range entries {
		if partialName.MatchString(e.Name()) {
			n++
		}
	}
	return n
}

// TestKillsAtRandomMomentsLeaveNothingStartable kills restores after random times.
func TestKillsAtRandomMomentsLeaveNothingStartable(t *testing.T) {
	t.Parallel()
	kills := 20
	if lab.Long() {
		kills = 200
	}
	g := newGallows(t)
	_, out := destination(t, false)
	points := append(g.points(t, out), "started")
	seeded := rand.New(rand.NewPCG(1, 2))
	histogram := map[string]int{}
	for done := 0; done < kills; {
		parent, out := destination(t, seeded.IntN(2) == 0)
		s := g.text
		s.Out, s.Named = out, seeded.IntN(2) == 0
		killed, last := g.run(t, s, points[seeded.IntN(len(points))], time.Duration(seeded.Int64N(int64(8*time.Millisecond))))
		if killed {
			done++
		} else {
			last = "not killed"
		}
		histogram[last]++
		g.aftermath(t, parent, out, false)
		g.again(t, parent, out)
		forget(t, parent)
	}
	lab.Report(t, "%d kills, by the last point passed: %v", kills, histogram)
}

// TestOnlyTheFinishPutsPlaintextUnderAName looks at the disk at every point of a restore where nameless files can be made.
func TestOnlyTheFinishPutsPlaintextUnderAName(t *testing.T) {
	t.Parallel()
	g := newGallows(t)
	parent, out := destination(t, false)
	d := g.deps()
	d.at = func(point string) error {
		if slices.Contains([]string{"fetched", string(StepOpen), string(StepInspect), string(StepEdit), string(StepSync)}, point) {
			g.aftermath(t, parent, out, true)
		}
		return nil
	}
	mustRun(t, g.plan(out), d)
}
