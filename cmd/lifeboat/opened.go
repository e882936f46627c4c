package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

// opened keeps the stores that one process asks again and again, so that it has one set of connections to each: those of a store that is left are
// kept for a while, and thousands of jobs would leave as many. A directory is looked for every time: its volume may come and go.
type opened struct {
	log *slog.Logger // what stores say; of no job, as they are everybody's

	mu     sync.Mutex
	stores map[sinkPlace]sinks.Sink
}

// open opens a sink, or gives the one that was opened before. A nil opened keeps nothing.
func (o *opened) open(ctx context.Context, g *global, p sinkPlace) (sinks.Sink, error) {
	if o == nil || strings.HasPrefix(p.url, "file:") {
		return orAbsent(open.URL(ctx, p.url, p.options(g)))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, known := o.stores[p]; known {
		return s, nil
	}
	options := p.options(g)
	options.Log = o.log
	s, err := open.URL(context.WithoutCancel(ctx), p.url, options) // it outlives who opens it
	if err != nil {
		return orAbsent(s, err)
	}
	if o.stores == nil {
		o.stores = map[sinkPlace]sinks.Sink{}
	}
	o.stores[p] = s
	return s, nil
}

// options are what goes with opening a place.
func (p sinkPlace) options(g *global) open.Options {
	byChecksum := p.readBack == catalog.ReadBackDaily || p.readBack == catalog.ReadBackChecksum
	return open.Options{CredentialsFile: p.credentialsFile, CAFile: p.caFile, Checksums: byChecksum, Log: g.logger()}
}
