package snapshot

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Clocks tells how far the clock of each endpoint's host is ahead of ours at least, or behind if it is negative: every answer over
// HTTP bears its time. It is 0 where that, and what the answer took, allow that there is no difference. An endpoint that answers no HTTP,
// which etcd can be told to serve elsewhere, is missing.
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

// askTime asks for the server's version, which costs it nothing, and looks at the date of the answer only. That is in whole seconds, cut
// off, and of some moment between question and answer: a busy machine must not look like a wrong clock.
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
	asked = asked.Round(0) // the wall clock alone is compared with theirs
	least, most := said.Sub(asked.Add(took)), said.Add(time.Second).Sub(asked)
	switch {
	case least > 0:
		return least, nil
	case most < 0:
		return most, nil
	}
	return 0, nil
}
