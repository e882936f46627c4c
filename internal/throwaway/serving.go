package throwaway

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// tailSize is how much of a silent member's log a report shows.
const tailSize = 2 << 10

var errTimeout = errors.New("not in time")

// Serving waits until every node answers a linearizable read, which takes a leader and an applied log. It returns when the
// first one did. A member that dies, or does not answer within timeout, is a *DownError; the end of ctx is its cause.
func (c *Cluster) Serving(ctx context.Context, timeout time.Duration) (first time.Time, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	g, asking := errgroup.WithContext(limited)
	var once sync.Once
	for _, n := range c.Nodes {
		g.Go(func() error {
			if err := n.serving(asking, timeout); err != nil {
				return err
			}
			once.Do(func() { first = time.Now() })
			return nil
		})
	}
	err = g.Wait()
	switch {
	case err == nil:
		return first, nil
	case ctx.Err() != nil:
		return first, context.Cause(ctx) // members die of our own end too
	}
	for _, n := range c.Nodes {
		if dead := n.Err(); dead != nil {
			return first, dead // a death says more than another member's silence
		}
	}
	return first, err
}

func (n *Node) serving(ctx context.Context, timeout time.Duration) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	if n.proc == nil {
		return &DownError{n.Name, "member " + n.Name + " was not started"}
	}
	for {
		last := n.askOnce(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-n.proc.Done():
			return n.Err()
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errTimeout) {
				return &DownError{n.Name, n.describeTimeout(timeout, last)}
			}
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (n *Node) askOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := n.Client.Get(ctx, "lifeboat"); err != nil { // any key: that it is answered is the point
		return err
	}
	st, err := n.Client.Status(ctx, n.ClientURL)
	if err != nil {
		return err
	}
	n.Version = st.Version
	return nil
}

// tailOf returns the end of a log.
func tailOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	buf := make([]byte, min(tailSize, info.Size()))
	n, _ := f.ReadAt(buf, info.Size()-int64(len(buf))) // a short tail is still a tail
	return string(buf[:n])
}
