package datadir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	// These tests wait for etcds most of the time: more of them at once than there are processors.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	wal.SegmentSizeBytes = segmentSize // of logs that are written in this process; etcds are others
	lab.Main(m, map[string]child.Role{RoleName: Role, snapshot.InspectRoleName: snapshot.InspectRole})
}

// patience bounds how long an etcd may take until it serves or dies, on a busy machine.
const patience = 90 * time.Second

// A host is the place of a cluster of one member, which etcds of several versions are started on one after the other.
type host struct {
	t       testing.TB
	dir     string
	spec    member.Spec
	learner bool   // it answers only what it knows itself
	brief   bool   // nobody expects that it serves
	client  string // where it is asked, if it listens elsewhere than it says
}

func newHost(t testing.TB) *host {
	t.Helper()
	ports := lab.FreePorts(t, 2)
	dir := filepath.Join(lab.Dir(t), "m1")
	peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	return &host{t: t, dir: dir, spec: member.Spec{
		Name: "m1", DataDir: dir, ClientURL: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), PeerURL: peer,
		InitialCluster: map[string]string{"m1": peer}, Token: "datadir",
	}}
}

// fork is a copy of the place, with a copy of the data.
func (h *host) fork(name string) *host {
	h.t.Helper()
	spec := h.spec
	spec.DataDir = h.dir + "-" + name
	copyDir(h.t, h.dir, spec.DataDir)
	return &host{t: h.t, dir: spec.DataDir, spec: spec}
}

// elsewhere is the same place on other ports, for several copies at once. To its cluster it is the same member.
func (h *host) elsewhere() (at *host, args []string) {
	h.t.Helper()
	ports := lab.FreePorts(h.t, 2)
	moved := *h
	moved.client = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	return &moved, []string{"--listen-client-urls=" + moved.client, fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", ports[1])}
}

// run starts an etcd of that version, lets do work with it, and stops it. It gives etcd's own reason if it dies instead.
func (h *host) run(version string, args []string, do func(context.Context, *clientv3.Client)) error {
	h.t.Helper()
	spec := h.spec
	if version == "3.4" {
		spec.Binary = lab.Tool(h.t, tools.Debian, "etcd")
	} else {
		spec.Binary = lab.Tool(h.t, "etcd-"+version, "etcd")
	}
	spec.Args = append([]string{"--heartbeat-interval=10", "--election-timeout=100"}, args...)
	p, err := member.Start(h.t.Context(), spec)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = p.Kill() }()
	if h.client == "" {
		h.client = spec.ClientURL
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{h.client}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		h.t.Fatal(err)
	}
	defer cli.Close()
	limit := patience
	if h.brief {
		limit /= 10
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	if err := h.await(ctx, cli, p); err != nil {
		return err
	}
	if do == nil {
		return nil // killed: it is in its log all the same
	}
	do(ctx, cli)
	_ = cli.Close() // a member does not end before its clients do
	if err := p.Stop(); err != nil {
		h.t.Fatal(err)
	}
	return p.Err()
}

func (h *host) await(ctx context.Context, cli *clientv3.Client, p *member.Process) error {
	var how []clientv3.OpOption
	if h.learner {
		how = append(how, clientv3.WithSerializable())
	}
	for {
		short, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := cli.Get(short, "is it there", how...)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return p.Err()
		case <-ctx.Done():
			return errors.Join(errors.New("it never serves"), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// must runs an etcd that has to serve.
func (h *host) must(version string, args []string, do func(context.Context, *clientv3.Client)) {
	h.t.Helper()
	if err := h.run(version, args, do); err != nil {
		h.t.Fatalf("etcd %s: %v", version, err)
	}
}

// puts writes n keys.
func puts(t testing.TB, n int) func(context.Context, *clientv3.Client) {
	return func(ctx context.Context, cli *clientv3.Client) {
		t.Helper()
		for i := range n {
			if _, err := cli.Put(ctx, fmt.Sprintf("key-%d", i), strings.Repeat("v", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// snapshotting has etcd take a raft snapshot every five entries.
func snapshotting() []string { return []string{"--snapshot-count=5"} }

// inspected looks into a directory, which must not change by it.
func inspected(t testing.TB, dir string) *Dir {
	t.Helper()
	before := fingerprint(t, dir)
	d, err := Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if after := fingerprint(t, dir); after != before {
		t.Errorf("looking into %s changed it:\nbefore\n%s\nafter\n%s", dir, before, after)
	}
	return d
}

// fingerprint is everything that can be seen of a directory: names, kinds, modes, times and content.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		sum := ""
		if st.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h := sha256.Sum256(data)
			sum = hex.EncodeToString(h[:])
		}
		fmt.Fprintln(&b, path, st.Mode(), st.Size(), st.ModTime().UnixNano(), sum)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copyDir copies what matters of a data directory, of which most is zeros that need no room.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dest := to + strings.TrimPrefix(path, from)
		switch {
		case e.IsDir():
			return os.MkdirAll(dest, 0o700)
		case strings.HasSuffix(path, ".tmp"): // room for the log's next segments
			return nil
		}
		return copySparse(path, dest)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copySparse(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if strings.HasSuffix(from, ".wal") { // etcd reserves 64 MB, which it does not need
		end := len(bytes.TrimRight(data, "\x00")) + 64<<10
		data = data[:min(end, len(data))]
	}
	return writeSparse(to, data)
}

func writeSparse(to string, data []byte) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	const block = 64 << 10
	zero := make([]byte, block)
	for at := 0; at < len(data); at += block {
		part := data[at:min(at+block, len(data))]
		if bytes.Equal(part, zero[:len(part)]) {
			continue
		}
		if _, err := f.WriteAt(part, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// codes are the findings in their order.
func codes(d *Dir) (all []string) {
	for _, f := range d.Findings {
		all = append(all, f.Code)
	}
	return all
}

// wants fails the test unless exactly these were found.
func wants(t testing.TB, what string, d *Dir, want ...string) {
	t.Helper()
	if got := codes(d); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: found %v, want %v: %+v", what, got, want, d.Findings)
	}
	for _, f := range d.Findings {
		if f.Detail == "" || f.Advice == "" {
			t.Errorf("%s: %s says nothing or advises nothing", what, f.Code)
		}
	}
}

// eventually waits for something that takes a moment.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// run runs a tool that has to succeed.
func run(t testing.TB, tool string, args ...string) {
	t.Helper()
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
}
