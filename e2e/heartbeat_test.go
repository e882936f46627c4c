package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestABackupWithAConfigurationSendsItsHeartbeat as the service does: good news for exit 0, bad ones for all else, and none after a signal.
func TestABackupWithAConfigurationSendsItsHeartbeat(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	var good, bad atomic.Int64
	watcher := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			good.Add(1)
		case "/bad":
			bad.Add(1)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(watcher.Close)
	slow, _ := silentEtcd(t)
	silent, reached := silentEtcd(t)
	s := newSite(t)
	heart := fmt.Sprintf("heartbeat: {success: %s/good, fail: %s/bad}", watcher.URL, watcher.URL)
	s.configure(t,
		[3]string{"works", c.Endpoints()[0], heart},
		[3]string{"gone", "http://127.0.0.1:1", heart},
		[3]string{"slow", slow, heart},
		[3]string{"silent", silent, heart},
		[3]string{"unheard", c.Endpoints()[0], fmt.Sprintf("heartbeat: {success: %s/secret}", watcher.URL)},
		[3]string{"without", c.Endpoints()[0], "retention: {last: 1}"})
	backup := func(cluster string, more ...string) ran {
		return lifeboat(t, append([]string{"backup", "--config", s.config, "--cluster", cluster}, more...)...)
	}
	told := func(what string, wantGood, wantBad int64) {
		t.Helper()
		if good.Load() != wantGood || bad.Load() != wantBad {
			t.Errorf("%s: %d good heartbeats and %d bad ones", what, good.Load(), bad.Load())
		}
	}

	backup("works").must(t, 0)
	told("a backup", 1, 0)
	backup("works", "--sink", "file://"+s.bucket, "--sink", "file://"+s.bucket+"/none").must(t, 3)
	told("one that a sink lacks", 1, 1)
	backup("gone").must(t, 4)
	told("no etcd", 1, 2)
	backup("slow", "--timeout", "1ms").must(t, 1)
	told("one that takes too long", 1, 3)
	backup("works", "--recipients-file", s.bucket+"/none").must(t, 2)
	told("a mistake", 1, 4)
	backup("without").must(t, 0)
	told("a cluster without addresses", 1, 4)
	if r := backup("unheard").must(t, 0); !strings.Contains(r.stderr, "warning: the heartbeat could not be sent: 127.0.0.1:") || strings.Contains(r.stderr, "secret") {
		t.Errorf("of a heartbeat that nobody takes it says:\n%s", r.stderr)
	}

	stopped := launch(t, nil, "backup", "--config", s.config, "--cluster", "silent")
	select {
	case <-reached:
	case <-stopped.gone:
		t.Fatal("it ended before it was stopped")
	}
	if code := stopped.end(t, syscall.SIGTERM); code != 143 {
		t.Errorf("stopped: exit %d", code)
	}
	told("one that was stopped", 1, 4)
	if err := os.WriteFile(s.config, []byte("clusters: [}"), 0o600); err != nil {
		t.Fatal(err)
	}
	backup("works").must(t, 2)
	told("a configuration that cannot be read", 1, 4)
}

// silentEtcd takes connections and says nothing. reached is written to when the first one comes that is not closed again at once.
func silentEtcd(t testing.TB) (address string, reached chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	reached = make(chan struct{}, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if n, _ := conn.Read(make([]byte, 1)); n == 0 { // whoever it was is gone
					return
				}
				select {
				case reached <- struct{}{}:
				default:
				}
				_, _ = conn.Read(make([]byte, 1<<20))
				<-t.Context().Done()
			}()
		}
	}()
	return "http://" + l.Addr().String(), reached
}
