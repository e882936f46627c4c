package datadir

import (
	"context"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestV2LeftoversAreWhatEtcd37DiesOf takes a member from 3.5 to 3.6 to 3.7, with and without raft snapshots. What is found and what
// 3.7 does with a copy have to be the same at every stage.
func TestV2LeftoversAreWhatEtcd37DiesOf(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stage := func(h *host, name string, dies bool) {
		t.Helper()
		d := inspected(t, h.dir)
		err := h.fork("by-3.7-"+name).run("3.7", nil, nil)
		if d.Has(V2Leftovers) != (err != nil) {
			t.Errorf("%s: found %v; etcd 3.7 says %v", name, d.Findings, err)
		}
		if dies != (err != nil) || err != nil && !strings.Contains(err.Error(), "unmarshal should never fail") {
			t.Errorf("%s: etcd 3.7 says %v", name, err)
		}
		if got := len(d.For("3.7.3")) > 0; got != dies {
			t.Errorf("%s: in the way of 3.7 are %v", name, d.For("3.7.3"))
		}
		if in := d.For("3.6"); len(in) > 0 && d.StorageVersion != "3.7.0" {
			t.Errorf("%s: in the way of 3.6 are %v", name, in)
		}
	}
	h.must("3.5", nil, puts(t, 3))
	stage(h, "booted-by-3.5", true)

	early := h.fork("snapshot-by-3.5")
	early.must("3.5", snapshotting(), puts(t, 20))
	stage(early, "snapshot-by-3.5", false)
	early.must("3.5", nil, nil)
	stage(early, "booted-by-3.5-again", true)

	h.must("3.6", nil, puts(t, 3))
	stage(h, "booted-by-3.6", true)
	h.must("3.6", snapshotting(), puts(t, 20))
	stage(h, "snapshot-by-3.6", false)
	h.must("3.7", nil, puts(t, 3))
	stage(h, "booted-by-3.7", false)
}

// TestV2ContentIsWhatEtcd36DiesOf has clients of etcd 2 write, and compares with what etcd's own check says and what 3.6 does.
func TestV2ContentIsWhatEtcd36DiesOf(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stage := func(h *host, name string, dies bool) {
		t.Helper()
		d := inspected(t, h.dir)
		oracle := exec.Command(lab.Tool(t, "etcd-3.5", "etcdutl"), "check", "v2store", "--data-dir", h.fork("checked-"+name).dir)
		said, found := oracle.CombinedOutput()
		err := h.fork("by-3.6-"+name).run("3.6", nil, nil)
		if d.Has(V2Content) != dies || (err != nil) != dies || (found != nil) != dies {
			t.Errorf("%s: found %v\netcdutl says %s\netcd 3.6 says %v", name, d.Findings, said, err)
		}
		if got := len(d.For("3.6")) > 0; got != dies {
			t.Errorf("%s: in the way of 3.6 are %v", name, d.For("3.6"))
		}
	}
	v2 := []string{"--enable-v2"}
	h.must("3.5", v2, nil)
	stage(h, "nothing-written", false)
	h.must("3.5", v2, h.v2("PUT", "/a/b"))
	stage(h, "written", true)
	if d := inspected(t, h.dir); !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Code == V2Content && strings.Contains(f.Detail, "PUT /1/a/b") }) {
		t.Errorf("%v does not say what was written", d.Findings)
	}
	h.must("3.5", append(v2, snapshotting()...), puts(t, 20))
	stage(h, "in-a-snapshot", true)

	// Etcd 3.7 does not read it any more.
	d := inspected(t, h.dir)
	if err := h.fork("by-3.7").run("3.7", nil, nil); (err != nil) != (len(d.For("3.7")) > 0) || err != nil {
		t.Errorf("in the way of 3.7 are %v; it says %v", d.For("3.7"), err)
	}
	h.must("3.5", append(v2, snapshotting()...), func(ctx context.Context, cli *clientv3.Client) {
		h.v2("DELETE", "/a?recursive=true")(ctx, cli)
		puts(t, 20)(ctx, cli)
	})
	stage(h, "removed", false)
}

// v2 makes a request of etcd 2.
func (h *host) v2(method, path string) func(context.Context, *clientv3.Client) {
	return func(ctx context.Context, _ *clientv3.Client) {
		h.t.Helper()
		body := strings.NewReader("value=something")
		req, err := http.NewRequestWithContext(ctx, method, h.spec.ClientURL+"/v2/keys"+path, body)
		if err != nil {
			h.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			h.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= 300 {
			h.t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
}
