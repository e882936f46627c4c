package backup_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// phases is a log that calls a function as each phase begins.
type phases struct{ begins func(phase string) }

func (*phases) Enabled(context.Context, slog.Level) bool { return true }
func (p *phases) WithAttrs([]slog.Attr) slog.Handler     { return p }
func (p *phases) WithGroup(string) slog.Handler          { return p }
func (p *phases) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "phase" {
		r.Attrs(func(a slog.Attr) bool { p.begins(a.Value.String()); return true })
	}
	return nil
}

// A scene is a run that somebody ends.
type scene struct {
	*house
	front  *front
	a, b   *liar
	begun  []string // phases
	begins func(phase string)
	cancel func()
}

func TestARunThatIsEndedLeavesNoBackup(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	moments := map[string]func(s *scene){
		"while a member sends": func(s *scene) {
			s.front.first = func(_ *between, to stream, file []byte) error {
				defer func() { s.cancel(); <-to.Context().Done() }()
				return send(to, file, len(file)/2)
			}
		},
		// The other one waits for the end there, or it might be done before.
		"while one of two is uploading": func(s *scene) {
			s.a.put = func(ctx context.Context, _ string, honest func() error) error { <-ctx.Done(); return honest() }
			s.b.put = func(ctx context.Context, key string, honest func() error) error { s.cancel(); return honest() }
		},
		"while one of two is read back": func(s *scene) {
			s.a.open = func(ctx context.Context, _ string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
				<-ctx.Done()
				return honest()
			}
			s.b.open = func(_ context.Context, _ string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
				r, err := honest()
				return &watched{r, func(int, error) { s.cancel() }}, err
			}
		},
	}
	within := map[string]backup.Phase{"while a member sends": backup.PhaseSave}
	for _, p := range []backup.Phase{
		backup.PhaseSurvey, backup.PhaseSave, backup.PhaseInspect, backup.PhaseUpload, backup.PhaseReadBack, backup.PhaseCommit,
	} {
		if p != backup.PhaseUpload && p != backup.PhaseReadBack { // which go on to find that all sinks failed
			within["as it begins to "+string(p)] = p
		}
		moments["as it begins to "+string(p)] = func(s *scene) {
			s.begins = func(phase string) {
				if phase == string(p) {
					s.cancel()
				}
			}
		}
	}
	for name, prepare := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.Endpoints())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.cancel = cancel
			prepare(s)
			began := time.Now()
			r, err := backup.Run(ctx, s.Options)
			if r != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("result %v, error %v", r, err)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %s to end", took)
			}
			mustHoldNoManifest(t, s.a.Sink, s.b.Sink)
			var uncertain *backup.UncertainError
			if errors.As(err, &uncertain) {
				t.Errorf("nothing was committed, and it is said that perhaps something was: %v", err)
			}
			last := backup.Phase(s.begun[len(s.begun)-1])
			beside := last == backup.PhaseUpload && within[name] == backup.PhaseInspect // they begin together
			if w, early := within[name]; early && last != w && !beside {
				t.Errorf("it went on to %s", last)
			}
		})
	}
}

func TestARunThatIsEndedWhileItCommitsSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t, cluster(t, 1).Endpoints())
	s.Sinks = s.Sinks[:1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.a.put = func(ctx context.Context, key string, honest func() error) error {
		err := honest()
		if strings.HasPrefix(key, manifests) && err == nil {
			cancel()
			err = ctx.Err()
		}
		return err
	}
	_, err := backup.Run(ctx, s.Options)
	var uncertain *backup.UncertainError
	if !errors.As(err, &uncertain) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	e := latest(t, catalog.Trust{}, s.a.Sink)
	if e.ID != uncertain.ID {
		t.Errorf("%s is there, and %s in the error", e.ID, uncertain.ID)
	}
	s.mustOpen(t, s.a.Sink, e.Manifest)
}

func newScene(t *testing.T, endpoints []string) *scene {
	t.Helper()
	s := &scene{front: &front{}, a: &liar{Sink: mem.New()}, b: &liar{Sink: mem.New()}}
	s.house = newHouse(t, s.front.serve(t, endpoints), s.a, s.b)
	s.begins = func(string) {}
	s.Log = slog.New(&phases{func(phase string) {
		s.begun = append(s.begun, phase)
		s.begins(phase)
	}})
	return s
}
