package faults_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

func TestCopyHoldsItsPromisesWhateverCallFails(t *testing.T) {
	t.Parallel()
	s := newScene(t).halved()
	s.everywhere(t, operation{name: "copy", do: s.copy(t.TempDir()), judge: s.judgeCopy})
}

// halved is the scene with the held backup gone from the first sink altogether, and of another one the payload alone left there.
func (s *scene) halved() *scene {
	h := *s
	h.held[0] = maps.Clone(s.held[0])
	gone, half := string(s.before.Entries[0].ID), s.before.Entries[2]
	maps.DeleteFunc(h.held[0], func(key string, _ []byte) bool { return strings.Contains(key, gone) })
	delete(h.held[0], catalog.ManifestKey(clusterName, half.ID))
	return &h
}

// ranCopy is what became of each backup of the second sink.
type ranCopy struct {
	done map[catalog.ID]copied
	told bool // something is reported to have gone wrong
}

type copied struct {
	catalog.Copied
	err error
}

// copy brings everything that the second sink has into the first.
func (s *scene) copy(dir string) func(ctx context.Context, ss []catalog.Named) any {
	return func(ctx context.Context, ss []catalog.Named) any {
		ran := ranCopy{done: make(map[catalog.ID]copied)}
		room, err := os.CreateTemp(dir, "room-")
		if err != nil {
			panic(err) // of the test's own folder
		}
		defer os.Remove(filepath.Join(dir, filepath.Base(room.Name())))
		defer room.Close()
		l, err := catalog.List(ctx, ss[1:], clusterName, catalog.Trust{})
		if ran.told = err != nil || len(l.Problems) > 0; err != nil {
			return ran
		}
		for _, e := range l.Entries {
			c, err := catalog.Copier{From: ss[1:], To: ss[0], Room: room}.Copy(ctx, e)
			ran.done[e.ID] = copied{c, err}
			ran.told = ran.told || err != nil || len(c.Failed) > 0 || c.Ignored > 0
		}
		return ran
	}
}

// judgeCopy wants every backup that is said to be copied to be there byte for byte, with what belongs to it, and what was anywhere
// before to be there still.
func (s *scene) judgeCopy(t *testing.T, told any, ss []catalog.Named, c cut) {
	t.Helper()
	ran := told.(ranCopy)
	clean := c.way.name == ""
	if clean && ran.told {
		t.Errorf("no fault, and it fails: %+v", ran)
	}
	s.mustHoldAllOf(t, ss)
	arrived := objects(t, ss[0])
	visible := make(map[catalog.ID]catalog.Entry)
	for _, e := range list(t, ss[:1]).Entries {
		visible[e.ID] = e
	}
	for _, e := range s.before.Entries {
		is, there := visible[e.ID]
		done, tried := ran.done[e.ID]
		switch {
		case tried && done.err == nil && !there:
			t.Errorf("%s is said to be copied, and is not there", e.ID)
		case !there && !ran.told:
			t.Errorf("%s is not there, and nobody is told", e.ID)
		case there && e.Held && !is.Held && !ran.told:
			t.Errorf("%s is there without its hold, and nobody is told", e.ID)
		}
		if there {
			s.mustEqual(t, arrived, e.ID, ran.told)
		}
	}
	if t.Failed() || clean {
		return
	}
	// The next run knows nothing of the trouble, and leaves nothing out.
	s.judgeCopy(t, s.copy(t.TempDir())(t.Context(), ss), ss, cut{})
}

// mustEqual compares what belongs to a backup with the sink it comes from. Where something is known to have gone wrong, notes may lack.
func (s *scene) mustEqual(t *testing.T, arrived map[string][]byte, id catalog.ID, told bool) {
	t.Helper()
	for key, want := range s.held[1] {
		if !strings.Contains(key, string(id)) {
			continue
		}
		got, ok := arrived[key]
		needed := !told || strings.Contains(key, "/snapshots/") || strings.Contains(key, "/manifests/")
		if ok && !bytes.Equal(got, want) || !ok && needed {
			t.Errorf("%s is not what it is where it came from (there: %v)", key, ok)
		}
	}
}
