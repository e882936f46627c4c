package observe_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/observe"
)

func TestAPageIsForReadingOnlyAndEndsAtOnce(t *testing.T) {
	t.Parallel()
	var sick error
	p := observe.Page{Version: "1.2.3", Healthy: func() error { return sick }, Ready: func() error { return errors.New("not yet") }, Log: slog.New(slog.DiscardHandler)}
	h, err := p.Handler(observe.NewReloads(day()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l, h) }()
	for _, c := range []struct {
		method, path string
		code         int
		says         string
	}{
		{http.MethodGet, "/metrics", 200, `lifeboat_build_info{goversion="go1.`},
		{http.MethodGet, "/metrics", 200, "lifeboat_config_reload_success 1"},
		{http.MethodGet, "/metrics", 200, "go_goroutines"},
		{http.MethodGet, "/metrics", 200, "process_open_fds"},
		{http.MethodHead, "/metrics", 200, ""},
		{http.MethodGet, "/healthz", 200, "ok"},
		{http.MethodGet, "/readyz", 503, "not yet"},
		{http.MethodHead, "/healthz", 200, ""},
		{http.MethodPost, "/metrics", 405, ""},
		{http.MethodDelete, "/healthz", 405, ""},
		{http.MethodGet, "/", 404, ""},
		{http.MethodGet, "/debug/pprof/", 404, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+l.Addr().String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.code || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s: %d, %q", c.method, c.path, answer.StatusCode, body)
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it did not end")
	}
}
