package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func TestWhatACommandSaysBecomesLinesThatSayOfWhichCluster(t *testing.T) {
	var all strings.Builder
	s := &service{g: &global{streams: streams{err: &all}, now: time.Now}}
	g := s.forJob(task{cluster: &clusterConfig{Name: "prod"}, name: "backup"})
	g.logger().Info("phase", "phase", "save")
	g.warnf("a single recipient")
	g.errorf(&usageError{"this is wrong", "write that"})
	bar := newProgress(g.err)
	g.loggerTo(bar).Log(t.Context(), slog.LevelError, "sink left", "sink", "file:///x")
	g.logger().Warn("the backup is suspect", "cluster", "prod", "id", "x")
	if _, err := g.err.Write([]byte("lifeboat: two\nhal")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.err.Write([]byte("ves\n")); err != nil {
		t.Fatal(err)
	}
	want := `level=INFO msg=phase phase=save cluster=prod job=backup
level=WARN msg="a single recipient" cluster=prod job=backup
level=ERROR msg="this is wrong" cluster=prod job=backup
level=INFO msg="hint: write that" cluster=prod job=backup
level=ERROR msg="sink left" sink=file:///x cluster=prod job=backup
level=WARN msg="the backup is suspect" id=x cluster=prod job=backup
level=INFO msg=two cluster=prod job=backup
level=INFO msg=halves cluster=prod job=backup
`
	if all.String() != want {
		t.Errorf("the log is\n%s\nand not\n%s", all.String(), want)
	}
}

func TestWhoNeedsMoreThanIsLeftWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{budget: 100}
		first := reserve(t, r, 60)
		second := reserve(t, r, 40)
		var order []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			release := reserve(t, r, 50)
			order = append(order, "third")
			release()
		}()
		synctest.Wait()
		second() // 40 are free
		second() // more than once counts once
		synctest.Wait()
		order = append(order, "first is done")
		first()
		<-done
		if !slices.Equal(order, []string{"first is done", "third"}) {
			t.Errorf("it went %v", order)
		}
		reserve(t, r, 1000)() // one alone is never held up
		if r.reserved != 0 {
			t.Errorf("%d bytes are never given back", r.reserved)
		}
	})
}

func TestWhoWaitsForRoomCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{budget: 100}
		reserve(t, r, 60)
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("told to stop"))
		defer stop()
		if _, err := r.reserve(ctx, 60); err == nil || !strings.Contains(err.Error(), "told to stop") {
			t.Errorf("it ended with %v", err)
		}
		if r.reserved != 60 {
			t.Errorf("%d bytes are reserved", r.reserved)
		}
	})
}

func TestWithoutABudgetWhatIsFreeCounts(t *testing.T) {
	r := &room{dir: t.TempDir()}
	reserve(t, r, 1)
	reserve(t, r, 1)
	if r.take(1<<60) == nil {
		t.Error("there is room for an exabyte")
	}
}

func reserve(t *testing.T, r *room, bytes int64) (release func()) {
	t.Helper()
	release, err := r.reserve(t.Context(), bytes)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestSizesAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "500MiB": 500 << 20, "20GiB": 20 << 30, "1.5 KiB": 1536, "2TiB": 2 << 40} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%q is %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1GiB", "20GB", "NaN", "1e99TiB", "GiB"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q is %d", text, b)
		}
	}
}

func TestAHeartbeatThatFailsNamesOnlyTheHost(t *testing.T) {
	var log strings.Builder
	g := &global{streams: streams{err: &log}}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, at := range []string{refuses.URL, gone.URL} {
		log.Reset()
		heartbeat{Success: at + "/secret"}.beat(t.Context(), g, true)
		if !strings.Contains(log.String(), "warning: the heartbeat could not be sent: 127.0.0.1:") || strings.Contains(log.String(), "secret") {
			t.Errorf("it says %q", log.String())
		}
	}
	log.Reset()
	heartbeat{Success: gone.URL}.beat(t.Context(), g, false) // there is no address for failures
	if log.Len() > 0 {
		t.Errorf("it says %q", log.String())
	}
}

func TestOnlyWhatWasJoinedIsTakenApart(t *testing.T) {
	wrapped := &partlyDone{message: "whole", causes: []error{errors.New("a"), errors.New("b")}}
	all := parts(errors.Join(errors.New("one"), nil, errors.Join(wrapped, &sinks.Error{Op: "put"})))
	if len(all) != 3 || all[1] != error(wrapped) || parts(nil) != nil {
		t.Errorf("the parts are %v", all)
	}
}

func TestOnlyWhatDidNotAnswerIsTriedAgain(t *testing.T) {
	for code := range 13 {
		if got, want := mayPass(&ending{code, errors.New("x")}), code == 4 || code == 5; got != want {
			t.Errorf("after exit code %d: tried again is %t", code, got)
		}
	}
	if mayPass(errors.New("panic")) {
		t.Error("after a panic it is tried again")
	}
}
