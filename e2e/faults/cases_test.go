package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
)

const (
	// stall is the deadline of a hanging call; a provider's own is half a minute.
	stall = 5 * time.Millisecond
	// patience is how long any run may take with a fault, which is far more than it needs and far less than for ever.
	patience = time.Minute
)

// A way is how a call fails.
type way struct {
	name    string
	kind    fault.Kind
	lasting bool // the sink stays like that
	cutOff  bool // it hangs until the run is cancelled, as --timeout does
}

// ways are all kinds of faults, a sink that does not come back, and a run that is ended from outside in the middle of the call.
func ways() (all []way) {
	for _, k := range fault.Kinds() {
		all = append(all, way{name: string(k), kind: k})
	}
	return append(all,
		way{name: "outage", kind: fault.Before, lasting: true},
		way{name: "credentials end", kind: fault.Expired, lasting: true},
		way{name: "cut off", kind: fault.Hang, cutOff: true})
}

// A cut is one case: one call to one sink that fails in one way.
type cut struct {
	sink     int
	call     fault.Call
	harmless bool // the end of an object was told where it was: nothing is missing
	way      way
}

func (c cut) String() string { return fmt.Sprintf("%c: %s: %s", 'a'+c.sink, c.call, c.way.name) }

// An operation is what is done to the sinks of a scene.
type operation struct {
	name string
	do   func(ctx context.Context, ss []catalog.Named) any // what it tells is for judge
	// judge looks at what it told, what the sinks hold now without any fault, and what was cut; the zero cut has no way.
	judge func(t *testing.T, told any, ss []catalog.Named, c cut)
	// only picks the calls that are cut, each of them in every run; nil takes all calls.
	only func(fault.Call) bool
}

// suffix is the part of a backup's id that chance decides on.
var suffix = regexp.MustCompile(`(\d{8}T\d{6}Z-r\d+)-[0-9a-f]{6}`)

// everywhere runs an operation without a fault to learn its calls, and then again and again, each time with another one cut: all of
// them in the long run, and a tenth otherwise.
func (s *scene) everywhere(t *testing.T, op operation) {
	t.Helper()
	cuts := s.cuts(t, op)
	all := len(cuts)
	if op.only != nil && !lab.Long() {
		cuts = slices.DeleteFunc(cuts, func(c cut) bool { return !op.only(c.call) })
	} else if !lab.Long() {
		rnd := rand.New(rand.NewPCG(1, uint64(all)))
		rnd.Shuffle(all, func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		cuts = cuts[:(all+9)/10]
	}
	began := time.Now()
	// Thousands of cases that wait for their turn would make it slow to look for goroutines.
	for some := range slices.Chunk(cuts, 50) {
		t.Run("cut", func(t *testing.T) {
			for _, c := range some {
				t.Run(c.String(), func(t *testing.T) {
					t.Parallel()
					s.try(t, op, c)
				})
			}
		})
	}
	lab.Report(t, "%s: %d of %d cases in %s", op.name, len(cuts), all, time.Since(began).Round(time.Millisecond))
}

// cuts lists the cases of an operation: every call to every sink in every way.
func (s *scene) cuts(t *testing.T, op operation) (all []cut) {
	t.Helper()
	ss := s.set(t)
	faults := make([]*fault.Faults, len(ss))
	told := op.do(t.Context(), before(ss, func(i int) *fault.Faults {
		faults[i] = fault.New(fault.Options{Name: steady})
		return faults[i]
	}))
	op.judge(t, told, ss, cut{})
	for i, f := range faults {
		calls := f.Calls()
		t.Logf("%s: %d calls to sink %s", op.name, len(calls), ss[i].Name)
		for _, c := range calls {
			for _, w := range ways() {
				all = append(all, cut{sink: i, call: c, way: w})
			}
		}
	}
	if t.Failed() || len(all) == 0 {
		t.Fatalf("%s fails without a fault, or asks nothing", op.name)
	}
	return all
}

// steady names a key so that two runs can be compared.
func steady(key string) string { return suffix.ReplaceAllString(key, "$1") }

// before puts faults before sinks.
func before(ss []catalog.Named, faults func(i int) *fault.Faults) (all []catalog.Named) {
	for i, n := range ss {
		all = append(all, catalog.Named{Name: n.Name, Sink: faults(i).Of(n.Sink)})
	}
	return all
}

// try runs one case.
func (s *scene) try(t *testing.T, op operation, c cut) {
	ss := s.set(t)
	var spoiled *fault.Faults
	faulty := before(ss, func(i int) *fault.Faults {
		o := fault.Options{Kind: c.way.kind, Lasting: c.way.lasting, Stall: stall, Name: steady}
		if c.way.cutOff {
			o.Stall = time.Hour
		}
		if i == c.sink {
			o.At = c.call.Same
		}
		f := fault.New(o)
		if i == c.sink {
			spoiled = f
		}
		return f
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.way.cutOff {
		go func() {
			for ctx.Err() == nil && spoiled.Injected() == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
	}
	told := run(ctx, t, op, faulty, c)
	if spoiled.Injected() == 0 {
		t.Fatalf("the fault was never done; the calls were %v", spoiled.Calls())
	}
	c.harmless = spoiled.Honest()
	op.judge(t, told, ss, c)
	s.mustBeWhole(t, ss)
}

// run does an operation, which has to end and to leave nothing running.
func run(ctx context.Context, t *testing.T, op operation, ss []catalog.Named, c cut) (told any) {
	t.Helper()
	done := make(chan any, 1)
	go pprof.Do(ctx, pprof.Labels("cut", c.String()), func(ctx context.Context) { done <- op.do(ctx, ss) })
	select {
	case told = <-done:
	case <-time.After(patience):
		t.Fatalf("still not done after %s", patience)
	}
	mustLeaveNoGoroutine(t, c.String())
	return told
}

// mustLeaveNoGoroutine waits for the goroutines that a case has started to end. They carry its label.
func mustLeaveNoGoroutine(t *testing.T, label string) {
	t.Helper()
	var all string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var b bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
			t.Fatal(err)
		}
		if all = b.String(); !strings.Contains(all, fmt.Sprintf("%q", label)) {
			return
		}
	}
	t.Errorf("goroutines are left:\n%s", all)
}

// mustBeWhole holds the second promise and most of the third, as a reader sees it who has no faults: whatever is visible in a sink is whole
// there, no listing has a problem, and what was held or suspect before still is.
func (s *scene) mustBeWhole(t *testing.T, ss []catalog.Named) {
	t.Helper()
	for i := range ss {
		l := list(t, ss[i:i+1])
		for _, p := range l.Problems {
			t.Errorf("sink %s: %v", ss[i].Name, p)
		}
		for _, e := range l.Entries {
			if err := catalog.VerifyDigest(t.Context(), ss[i], e.Manifest, nil); err != nil && s.was == nil {
				t.Errorf("visible and not whole: %v", err)
			}
		}
	}
}

// mustHoldAllOf compares what sinks hold with what they held: nothing may be gone or changed.
func (s *scene) mustHoldAllOf(t *testing.T, ss []catalog.Named) {
	t.Helper()
	for i, n := range ss {
		for key, want := range s.held[i] {
			if got, err := object(t.Context(), n, key); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s in %s is not what it was, or gone: %v", key, n.Name, err)
			}
		}
	}
	now := make(map[catalog.ID]catalog.Entry)
	for _, e := range list(t, ss).Entries {
		now[e.ID] = e
	}
	for _, was := range s.before.Entries {
		if is := now[was.ID]; is.Held != was.Held || len(is.Doubts) != len(was.Doubts) {
			t.Errorf("%s: held %v and doubts %v, was %v and %v", was.ID, is.Held, is.Doubts, was.Held, was.Doubts)
		}
	}
}
