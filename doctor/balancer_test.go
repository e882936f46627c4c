package doctor

import (
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// balance is an address behind which each connection goes to the next of some others.
func balance(t *testing.T, endpoints []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			from, err := l.Accept()
			if err != nil {
				return
			}
			u, _ := url.Parse(endpoints[n%len(endpoints)])
			to, err := net.Dial("tcp", u.Host)
			if err != nil {
				from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() {
					defer way[0].Close()
					defer way[1].Close()
					_, _ = io.Copy(way[1], way[0])
				}()
			}
		}
	}()
	return "http://" + l.Addr().String()
}

// TestBehindALoadBalancerEveryMemberIsSeen although it is another one each time that answers there, and none of them is asked for there
// where its own address can be reached.
func TestBehindALoadBalancerEveryMemberIsSeen(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6"})
	f, err := Look(t.Context(), Places{Etcd: &snapshot.Config{Endpoints: []string{balance(t, c.Endpoints())}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, m := range f.Members {
		if m.State != Up {
			t.Errorf("%s is %s: %s", m.Name, m.State, m.Reason)
		} else if m.Status.URL == m.ClientURLs[0] {
			own++
		}
	}
	if own < 2 {
		t.Errorf("%d members are asked at their own address", own)
	}
	if d := Decide(f, Tools{NewDir: "/nowhere"}); d.Verdict != Whole {
		t.Errorf("%s", d.Sentence)
	}
}
