package backup

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A Phase is a step of a backup. Each is logged as it begins, so that whoever reads the log of a run that was killed sees
// how far it came.
type Phase string

// The phases, in the order in which they begin. Sealing runs beside saving and has no phase of its own. Inspection runs beside the
// upload, and the sinks go at their own pace: a phase begins when the first of them reaches it.
const (
	PhaseSurvey   Phase = "survey"    // status of every endpoint, manifests already in the sinks
	PhaseSave     Phase = "save"      // the Snapshot RPC into the spool; sealing runs along
	PhaseInspect  Phase = "inspect"   // the spool, in a child process
	PhaseUpload   Phase = "upload"    // the sealed file into every sink
	PhaseReadBack Phase = "read-back" // from every sink, decrypted and compared, or compared by its checksum
	PhaseCommit   Phase = "commit"    // the manifest, last
)

// PhaseTime is when a phase began, counted from the beginning of the run, and how long it took. Phases overlap.
type PhaseTime struct {
	Phase       Phase
	Began, Took time.Duration
}

// A timeline keeps the times of phases, some of which are entered by several goroutines.
type timeline struct {
	log   *slog.Logger
	began time.Time

	mu   sync.Mutex
	list []PhaseTime
	from int // where the present attempt's begin
}

func newTimeline(log *slog.Logger) *timeline { return &timeline{log: log, began: time.Now()} }

// again begins an attempt, whose phases are told apart from those of the one before.
func (t *timeline) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = len(t.list)
}

// enter begins a phase, or joins who is in it already. It lasts until all have left it.
func (t *timeline) enter(p Phase) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.list[t.from:], func(x PhaseTime) bool { return x.Phase == p })
	if i < 0 {
		i = len(t.list) - t.from
		t.list = append(t.list, PhaseTime{Phase: p, Began: time.Since(t.began)})
		t.log.Info("phase", "phase", string(p))
	}
	i += t.from
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.list[i].Took = time.Since(t.began) - t.list[i].Began
	}
}

func (t *timeline) all() []PhaseTime {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// progress reports bytes of one phase.
func (o *Options) progress(p Phase) func(done, total int64) {
	return func(done, total int64) {
		if o.Progress != nil {
			o.Progress(p, done, total)
		}
	}
}
