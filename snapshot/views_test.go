package snapshot_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestWhatMembersShowBesideTheirData looks at the certificates, clocks and member lists of a real cluster.
func TestWhatMembersShowBesideTheirData(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: true})
			cfg := config(t, lc)
			cfg.Endpoints = append(cfg.Endpoints, strings.Replace(cfg.Endpoints[1], "127.0.0.1", "localhost", 1))
			c := connect(t, cfg)
			var shown []string
			for _, cert := range c.Certificates() {
				kind := "server"
				switch {
				case cert.File == cfg.CertFile:
					kind = "own"
				case cert.Authority:
					kind = "authority"
				}
				shown = append(shown, kind+" "+cert.Subject)
				if left := time.Until(cert.NotAfter); left < time.Hour || left > 400*24*time.Hour {
					t.Errorf("%+v", cert)
				}
			}
			// All members of the lab have one certificate.
			if want := []string{"own CN=client", "server CN=server", "authority CN=lab authority"}; !slices.Equal(shown, want) {
				t.Errorf("certificates %v, want %v", shown, want)
			}
			clocks, views := c.Clocks(t.Context()), c.Views(t.Context())
			for _, e := range cfg.Endpoints {
				if ahead, told := clocks[e]; !told || ahead != 0 { // it is our own
					t.Errorf("the clock of %s: %v, %v", e, ahead, told)
				}
				if len(views[e]) != 3 || views[e][0].ID == 0 {
					t.Errorf("members as %s lists them: %+v", e, views[e])
				}
			}
			if s := survey(t, c); len(s.Answered) != 3 {
				t.Errorf("%d members answered: %+v", len(s.Answered), s.Answered)
			}
			lc.Kill(t, 0)
			lc.Kill(t, 1)
			lc.Kill(t, 2)
			if clocks, views := c.Clocks(t.Context()), c.Views(t.Context()); len(clocks) != 0 || len(views) != 0 {
				t.Errorf("of members that are dead: %v, %v", clocks, views)
			}
		})
	}
}

// TestAClockThatIsWrongIsMeasured has a member's HTTP say that it is an hour ago, or nothing of the time.
func TestAClockThatIsWrongIsMeasured(t *testing.T) {
	t.Parallel()
	member := func(date string) string {
		l := &liar{r0: 1, status: pb.StatusResponse{Header: &pb.ResponseHeader{ClusterId: 7, MemberId: 1, Revision: 1}, Leader: 1}}
		rpc := grpc.NewServer()
		pb.RegisterMaintenanceServer(rpc, l)
		pb.RegisterKVServer(rpc, l)
		pb.RegisterClusterServer(rpc, l)
		protocols := &http.Protocols{}
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		srv := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				rpc.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Date", date)
		})}
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = srv.Serve(lis) }()
		t.Cleanup(func() { _ = srv.Close() })
		return "http://" + lis.Addr().String()
	}
	behind, mute := member(time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)), member("today")
	clocks := connect(t, snapshot.Config{Endpoints: []string{behind, mute}}).Clocks(t.Context())
	// The date is cut off to seconds, and the whole of the test may lie between it and the question.
	if got := clocks[behind]; len(clocks) != 1 || got > -time.Hour+2*time.Second || got < -time.Hour-5*time.Minute {
		t.Errorf("clocks %v", clocks)
	}
}

// TestWhoIsNotThereIsToldFromWhoDoesNotLetUsIn: one is down, the other may be in the best of health.
func TestWhoIsNotThereIsToldFromWhoDoesNotLetUsIn(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Members: 1, TLS: true})
	auth := lab.StartCluster(t, lab.ClusterOptions{Members: 1, Auth: true})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	good := config(t, lc)
	with := func(change func(*snapshot.Config)) snapshot.Config {
		cfg := good
		change(&cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		cfg    snapshot.Config
		absent bool
	}{
		"nobody listens": {snapshot.Config{Endpoints: []string{"http://127.0.0.1:1"}}, true},
		"no such host":   {snapshot.Config{Endpoints: []string{"http://etcd.invalid:2379"}}, true},
		"silence": {with(func(c *snapshot.Config) {
			c.Endpoints, c.DialTimeout = []string{"https://" + silent.Addr().String()}, 2*time.Second
		}), true},
		"no client certificate": {with(func(c *snapshot.Config) { c.CertFile, c.KeyFile = "", "" }), false},
		"no CA":                 {with(func(c *snapshot.Config) { c.CAFile = "" }), false},
		"plain text to TLS":     {snapshot.Config{Endpoints: []string{strings.Replace(good.Endpoints[0], "https", "http", 1)}}, false},
		"no user":               {config(t, auth), false},
	} {
		cluster, err := snapshot.Connect(t.Context(), c.cfg)
		if err == nil {
			_, err = cluster.Survey(t.Context())
			cluster.Close()
		}
		failed := snapshot.Failures(err)
		if len(failed) != 1 || failed[0].Absent != c.absent {
			t.Errorf("%s: %+v, want absent %v (%v)", name, failed, c.absent, err)
		}
	}
}
