package snapshot

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Clocks tells how far the clock of each endpoint's host is ahead of ours, to a second or so: every answer over HTTP bears its
// time. An endpoint that answers no HTTP, which etcd can be told to serve elsewhere, is missing.
func (c *Cluster) Clocks(ctx context.Context) map[string]time.Duration {
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		all = map[string]time.Duration{}
	)
	for _, l := range c.links {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			if ahead, err := l.clock(ctx); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all[l.url] = ahead
			}
		})
	}
	wg.Wait()
	return all
}

// askTime asks for the server's version, which costs it nothing, and looks at the date of the answer only. That is in whole seconds,
// so half of one is added, and taken to be of the middle between question and answer.
func askTime(ctx context.Context, t target, a *access) (time.Duration, error) {
	transport := &http.Transport{TLSClientConfig: a.tls.Clone(), DisableKeepAlives: true}
	scheme := "http://"
	if t.tls {
		scheme = "https://"
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+t.host+"/version", nil)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	answer, err := transport.RoundTrip(ask)
	if err != nil {
		return 0, err
	}
	took := time.Since(asked)
	defer answer.Body.Close()
	said, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("%s tells no time: %w", t.url, err)
	}
	return said.Add(time.Second / 2).Sub(asked.Add(took / 2).Round(0)), nil
}
