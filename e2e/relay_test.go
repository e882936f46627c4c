package e2e

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// crawl is the rate of a slow relay in bytes a second: well above what counts as a stall, and low enough that minutes pass before a few MiB
// have, for what has to happen meanwhile on a machine that is busy.
const crawl = 32 << 10

// A relay stands before one member on the network, and passes on what both sides send.
type relay struct {
	url    string
	member string // host:port
	passed atomic.Int64
	at     func(passed int64)      // called for what comes from the member, before it is passed on; may be nil
	slow   func(passed int64) bool // whether it crawls now; may be nil

	lis   net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

// relays puts one before each member. What they do is set with how, before any connection is made.
func relays(t *testing.T, c *lab.Cluster, how func(i int, r *relay)) (all []*relay) {
	t.Helper()
	for i, m := range c.Members() {
		to, err := url.Parse(m.ClientURL)
		if err != nil {
			t.Fatal(err)
		}
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r := &relay{url: to.Scheme + "://" + lis.Addr().String(), member: to.Host, lis: lis}
		how(i, r)
		go r.serve()
		t.Cleanup(r.cut)
		all = append(all, r)
	}
	return all
}

func urlsOf(all []*relay) (urls []string) {
	for _, r := range all {
		urls = append(urls, r.url)
	}
	return urls
}

func (r *relay) serve() {
	for {
		client, err := r.lis.Accept()
		if err != nil {
			return
		}
		member, err := net.Dial("tcp", r.member)
		if err != nil {
			_ = client.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, client, member)
		r.mu.Unlock()
		go r.pass(member, client, false)
		go r.pass(client, member, true)
	}
}

func (r *relay) pass(to, from net.Conn, answers bool) {
	defer to.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 && answers {
			passed := r.passed.Add(int64(n))
			if r.at != nil {
				r.at(passed)
			}
			if r.slow != nil && r.slow(passed) {
				time.Sleep(time.Duration(n) * time.Second / crawl)
			}
		}
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends every connection and takes no more: whoever stood behind it is gone.
func (r *relay) cut() {
	_ = r.lis.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
}
