package faults_test

import (
	"bytes"
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// orphan is the payload of a backup that never came to be.
const orphan = "v1/" + clusterName + "/snapshots/20240101T000000Z-r1-0123ab.db.zst.age"

func TestPruneRemovesNothingElseWhateverCallFails(t *testing.T) {
	t.Parallel()
	own := lab.StartRecorded(t, 0).URL
	for name, from := range map[string][]string{
		"prune":          {own, own, own, own, own, own, own},
		"prune a frozen": {own, own, own, own, own, lab.StartRecorded(t, foreign).URL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, from...)
			s.store = func() sinks.Sink { return dated{mem.New()} }
			for i := range s.held {
				s.held[i][orphan] = []byte("half a backup")
			}
			p := newPruning(t, s, len(s.held))
			if frozen := len(p.due) == 0; frozen != (name == "prune a frozen") {
				t.Fatalf("to be removed are %v", p.due)
			}
			p.everywhere(t, operation{name: name, do: p.prune, judge: p.judge})
		})
	}
}

// A pruning is a scene and what prune has to do there.
type pruning struct {
	*scene
	due map[catalog.ID]bool
}

func newPruning(t *testing.T, s *scene, orphans int) *pruning {
	t.Helper()
	p := &pruning{s, make(map[catalog.ID]bool)}
	plan, err := prune.Look(t.Context(), p.options(s.set(t)))
	if err != nil || len(plan.Garbage) != orphans {
		t.Fatal(err, plan)
	}
	for _, l := range plan.Removals() {
		p.due[l.Entry.ID] = true
	}
	return p
}

func (p *pruning) options(ss []catalog.Named) prune.Options {
	return prune.Options{
		Cluster: clusterName, Sinks: ss, Policy: retention.Policy{Last: 2, Floor: 2, All: true}, Now: clock(p.at), Log: p.scene.options.Log,
	}
}

// ranPrune is what prune told.
type ranPrune struct {
	result   *prune.Result
	problems []*catalog.Problem // that the plan tells of
	err      error
}

func (p *pruning) prune(ctx context.Context, ss []catalog.Named) any {
	plan, err := prune.Look(ctx, p.options(ss))
	if err != nil {
		return ranPrune{err: err}
	}
	r, err := plan.Apply(ctx)
	return ranPrune{r, plan.Listing.Problems, err}
}

// judge holds the third promise: what was not to go is there and whole, what was to go is whole or gone, and who is told that it was done
// can rely on it.
func (p *pruning) judge(t *testing.T, told any, ss []catalog.Named, c cut) {
	t.Helper()
	ran := told.(ranPrune)
	clean := c.way.name == ""
	failed := ran.err != nil || len(ran.result.Failed)+len(ran.result.Spared)+len(ran.result.Locked)+len(ran.problems) > 0
	if clean && failed {
		t.Errorf("no fault, and it fails: %+v", ran)
	}
	p.mustKeep(t, ss)
	for i, n := range ss {
		for _, e := range list(t, ss[i:i+1]).Entries {
			if !failed && p.due[e.ID] {
				t.Errorf("%s is in %s still, and nothing failed", e.ID, n.Name)
			}
			if ran.result != nil && slices.Contains(ran.result.Removed, e.ID) {
				t.Errorf("%s is in %s still, and said to be removed", e.ID, n.Name)
			}
		}
		if _, err := object(t.Context(), n, orphan); !failed && err == nil {
			t.Errorf("the orphan is in %s still, and nothing failed", n.Name)
		}
	}
	if t.Failed() || clean {
		return
	}
	// The next run knows nothing of the trouble, and leaves nothing.
	p.judge(t, p.prune(t.Context(), ss), ss, cut{})
}

// mustKeep looks for all that had not to go: unchanged, and with the same standing.
func (p *pruning) mustKeep(t *testing.T, ss []catalog.Named) {
	t.Helper()
	for i, n := range ss {
		for key, want := range p.held[i] {
			if p.mayGo(key) {
				continue
			}
			if got, err := object(t.Context(), n, key); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s in %s is not what it was, or gone: %v", key, n.Name, err)
			}
		}
	}
	now := make(map[catalog.ID]catalog.Entry)
	for _, e := range list(t, ss).Entries {
		now[e.ID] = e
	}
	for _, was := range p.before.Entries {
		if is, ok := now[was.ID]; !p.due[was.ID] && (!ok || is.Held != was.Held || len(is.Doubts) != len(was.Doubts)) {
			t.Errorf("%s: there %v, held %v, doubts %v", was.ID, ok, is.Held, is.Doubts)
		}
	}
}

// mayGo tells whether an object belongs to what is to be removed.
func (p *pruning) mayGo(key string) bool {
	for id := range p.due {
		if strings.Contains(key, string(id)) {
			return true
		}
	}
	return key == orphan
}

// dated is a store in memory whose clock agrees with the names of things.
type dated struct{ *mem.Sink }

var stamp = regexp.MustCompile(`\d{8}T\d{6}Z`)

// List implements [sinks.Sink].
func (d dated) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for o, err := range d.Sink.List(ctx, prefix) {
			if at, bad := time.Parse("20060102T150405Z", stamp.FindString(o.Key)); bad == nil {
				o.ModTime = at
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
