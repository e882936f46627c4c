package main

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/kubeevent"
	"github.com/lifeboat-dr/lifeboat/scheduler"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestAnEventIsCalledByHowItEnded(t *testing.T) {
	interruptedNow, interrupt := context.WithCancelCause(t.Context())
	interrupt(interrupted{syscall.SIGTERM})
	for _, c := range []struct {
		ctx    context.Context
		job    string
		found  eventFacts
		err    error
		reason string
		note   string
	}{
		{t.Context(), "backup", eventFacts{facts: []string{"id, in 2 of 2 sinks"}}, nil, "BackupCommitted", "cluster prod: id, in 2 of 2 sinks"},
		{t.Context(), "backup", eventFacts{suspect: true}, nil, "BackupSuspect", "cluster prod: done"},
		{
			t.Context(), "backup",
			eventFacts{facts: []string{"id"}},
			&partlyDone{"missing in one", "mend it", nil},
			"BackupPartlyDone", "cluster prod: id; missing in one; hint: mend it",
		},
		{t.Context(), "backup", eventFacts{}, &usageError{"this\nis\x1bwrong", "write that"}, "BackupFailed", `cluster prod: this; is\x1bwrong; hint: write that`},
		{interruptedNow, "backup", eventFacts{}, interrupted{syscall.SIGTERM}, "BackupInterrupted", "cluster prod: interrupted by SIGTERM"},
		{t.Context(), "verify", eventFacts{}, nil, "VerifyPassed", "cluster prod: done"},
		{t.Context(), "verify", eventFacts{}, &usageError{"x", ""}, "VerifyFailed", "cluster prod: x"},
		{t.Context(), "cross-check", eventFacts{}, &usageError{"x", ""}, "CrossCheckFailed", "cluster prod: x"},
		{t.Context(), "rehearse", eventFacts{}, nil, "RehearsalProven", "cluster prod: done"},
		{t.Context(), "rehearse", eventFacts{}, &notProven{"it does not serve", "mend"}, "RehearsalFailed", "cluster prod: it does not serve; hint: mend"},
		{t.Context(), "rehearse", eventFacts{}, &usageError{"x", ""}, "RehearsalNotRun", "cluster prod: x"},
		{t.Context(), "prune", eventFacts{}, nil, "PruneDone", "cluster prod: done"},
		{t.Context(), "prune", eventFacts{}, &partlyDone{"some", "", nil}, "PrunePartlyDone", "cluster prod: some"},
	} {
		e := eventOf(c.ctx, c.job, "prod", c.found, c.err)
		normal := c.err == nil && !c.found.suspect
		if e.Reason != c.reason || e.Note != c.note || e.Warning == normal || e.Action == "" {
			t.Errorf("%s that ended with %v: %+v, want %s and %q", c.job, c.err, e, c.reason, c.note)
		}
	}
}

// silentPod is a pod whose API server takes requests and does not answer.
func silentPod(t *testing.T) *kubeevent.Pod {
	t.Helper()
	release := make(chan struct{})
	silent := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	account := t.TempDir()
	for name, text := range map[string][]byte{
		"namespace": []byte("default"), "token": []byte("confidential"),
		"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: silent.Certificate().Raw}),
	} {
		if err := os.WriteFile(filepath.Join(account, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at, err := url.Parse(silent.URL)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": at.Hostname(), "KUBERNETES_SERVICE_PORT": at.Port(), kubeevent.PodName: "p"}
	pod, err := kubeevent.Here(func(name string) (string, bool) { value, found := env[name]; return value, found }, account)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// TestAnAPIServerThatDoesNotAnswerHoldsUpNobody also holds that the token is in no message.
func TestAnAPIServerThatDoesNotAnswerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	pod := silentPod(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(interrupted{syscall.SIGTERM})
	var said strings.Builder
	began := time.Now()
	(&events{pod: pod}).tell(ctx, &global{streams: streams{err: &said}, now: time.Now}, kubeevent.Event{Reason: "BackupInterrupted"})
	if took := time.Since(began); took < toldAfterSignal || took > eventTimeout {
		t.Errorf("it took %s", took)
	}
	if !strings.HasPrefix(said.String(), "lifeboat: warning: no Kubernetes Event could be made: ") || strings.Contains(said.String(), "confidential") {
		t.Errorf("it said %q", said.String())
	}
}

// TestASignalThatComesWhileAHeartbeatIsSentIsHeeded: the backup that it tells of is done.
func TestASignalThatComesWhileAHeartbeatIsSentIsHeeded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	ctx, interrupt := context.WithCancelCause(t.Context())
	signaled := make(chan time.Time, 1)
	time.AfterFunc(100*time.Millisecond, func() {
		signaled <- time.Now()
		interrupt(interrupted{syscall.SIGTERM})
	})
	sent := heartbeat{Success: silent.URL}.beat(ctx, &global{streams: streams{err: io.Discard}, now: time.Now}, true)
	if took := time.Since(<-signaled); sent || took > heartbeatTimeout/2 {
		t.Errorf("it went on for %s after the signal, and says %v", took, sent)
	}
}

// TestASignalThatComesWhileAnEventIsMadeIsHeeded: what the Event is about ended before.
func TestASignalThatComesWhileAnEventIsMadeIsHeeded(t *testing.T) {
	t.Parallel()
	pod := silentPod(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	signaled := make(chan time.Time, 1)
	time.AfterFunc(100*time.Millisecond, func() {
		signaled <- time.Now()
		interrupt(interrupted{syscall.SIGTERM})
	})
	(&events{pod: pod}).tell(ctx, &global{streams: streams{err: io.Discard}, now: time.Now}, kubeevent.Event{Reason: "BackupCommitted"})
	if took := time.Since(<-signaled); took > eventTimeout/2 {
		t.Errorf("it went on for %s after the signal", took)
	}
}

// TestASignalThatComesWhileAnEventIsMadeIsNotHowAJobEnded: etcd did not answer, and that is what heartbeat, log and metrics are to tell.
func TestASignalThatComesWhileAnEventIsMadeIsNotHowAJobEnded(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancelCause(t.Context())
	g := &global{streams: streams{err: io.Discard}, now: func() time.Time { // which an Event is given as it is made
		interrupt(interrupted{syscall.SIGTERM})
		return time.Now()
	}}
	s := &service{g: g, events: events{pod: silentPod(t)}}
	job := s.job(scheduler.Job{}, nil, task{name: "verify", cluster: &clusterConfig{Name: "prod"}, build: func(context.Context, *service, *global, *configFile, *clusterConfig) duty {
		return duty{flags: &flags{}, do: func() error { return snapshot.ErrUnavailable }}
	}})
	var how *ending
	if err := job.Run(ctx); !errors.As(err, &how) || how.code != exitEtcd {
		t.Errorf("it ended with %v", err)
	}
	if ctx.Err() == nil {
		t.Error("no Event was made")
	}
}
