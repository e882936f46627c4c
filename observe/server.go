package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapes is how many scrapes are answered at a time: two that watch each other's back, and somebody who looks.
const scrapes = 4

// A Page is what a server shows.
type Page struct {
	Version string // of Lifeboat
	// Healthy says why the process should be started anew; nil if it should not.
	Healthy func() error
	// Ready says why it cannot tell the truth yet; nil if it can.
	Ready func() error
	Log   *slog.Logger
}

// Handler serves /metrics, /healthz and /readyz, to be read only.
func (p Page) Handler(shows ...prometheus.Collector) (http.Handler, error) {
	about := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lifeboat_build_info", Help: "Always 1; what runs is in the labels."}, []string{"version", "goversion"})
	about.WithLabelValues(p.Version, runtime.Version()).Set(1)
	r := prometheus.NewRegistry()
	for _, c := range append(shows, about, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	log := slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorLog: log, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes}))
	mux.HandleFunc("GET /healthz", answer(p.Healthy))
	mux.HandleFunc("GET /readyz", answer(p.Ready))
	return mux, nil
}

// answer says ok, or what is not.
func answer(ask func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		text := "ok"
		if err := ask(); err != nil {
			text = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprintln(w, text) // who asked may be gone
	}
}

// Serve answers until ctx ends, and then ends at once: what a scrape does not get it gets from the next process.
func (p Page) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
