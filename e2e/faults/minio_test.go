package faults_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// A store is a bucket of a real MinIO.
type store struct {
	server *lab.S3
	bucket string
}

// sink is a part of the bucket. Its deadlines are short enough for a test, and long enough for a busy machine.
func (b store) sink(t *testing.T, prefix string, w *wire) sinks.Sink {
	t.Helper()
	o := s3.Options{
		Bucket: b.bucket, Prefix: prefix, Endpoint: b.server.URL, Region: lab.Region, CredentialsFile: b.server.CredentialsFile,
		Stall: 2 * time.Second, Patience: time.Second,
	}
	o.Transport = func(base http.RoundTripper) http.RoundTripper {
		// A connection that is kept for the next request would look like one that was forgotten.
		base.(*http.Transport).DisableKeepAlives = true
		w.base = base
		return w
	}
	s, err := s3.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair is two sinks of the bucket for one case, each with a wire; nil is one that fails nothing.
func (b store) pair(t *testing.T, prefix string, w *wire) []catalog.Named {
	t.Helper()
	prefix = strings.ReplaceAll(prefix, " ", "-")
	if w == nil {
		w = &wire{at: -1}
	}
	quiet := &wire{at: -1}
	return named(b.sink(t, prefix+"/a", quiet), b.sink(t, prefix+"/b", w))
}

// spoiled is the sink of a pair whose wire fails.
const spoiled = 1

// TestPromisesHoldWithARealEtcdAndARealStore repeats a part of the enumeration, with the faults on the wire between the s3 sink and MinIO: ten
// for each operation, one of every kind, each at some request that chance picks once and for all.
func TestPromisesHoldWithARealEtcdAndARealStore(t *testing.T) {
	t.Parallel()
	cluster := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 3})
	if _, err := kubedata.Fill(t.Context(), cluster.Client(t), kubedata.Options{Keys: 300, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	own := cluster.Endpoints()[0]
	sound := sceneOf(t, own, own, own, lab.StartRecorded(t, foreign).URL)
	sound.options.Etcd.Endpoints = cluster.Endpoints()
	damaged := sound.damaged()
	halved := sound.halved()
	pruned := newPruning(t, sceneOf(t, own, own, own, own, own), 0)
	server := lab.StartMinIO(t)
	at := store{server, server.Bucket(t)}
	for _, run := range []struct {
		s  *scene
		op operation
	}{
		{sound, operation{name: "backup", do: sound.backup, judge: sound.judgeBackup}},
		{damaged, operation{name: "verify deep", do: damaged.verify(true), judge: damaged.judgeVerify}},
		{halved, operation{name: "copy", do: halved.copy(t.TempDir()), judge: halved.judgeCopy}},
		{pruned.scene, operation{name: "prune", do: pruned.prune, judge: pruned.judge}},
	} {
		t.Run(run.op.name, func(t *testing.T) {
			t.Parallel()
			run.s.onTheWire(t, run.op, at)
		})
	}
}

// onTheWire runs an operation with each kind of fault, or in the ordinary run with two of them.
func (s *scene) onTheWire(t *testing.T, op operation, at store) {
	t.Helper()
	count := &wire{at: -1}
	ss := at.pair(t, op.name+"/clean", count)
	s.fill(t, at.pair(t, op.name+"/clean", nil))
	op.judge(t, op.do(t.Context(), ss), at.pair(t, op.name+"/clean", nil), cut{})
	requests := count.seen.Load()
	if t.Failed() || requests == 0 {
		t.Fatalf("%s fails without a fault, or asks nothing", op.name)
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	kinds := fault.Kinds()
	rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	all := len(kinds)
	if !lab.Long() {
		kinds = kinds[:2]
	}
	began := time.Now()
	t.Run("cut", func(t *testing.T) {
		for i, k := range kinds {
			// What the sink would get over by trying again lasts in half of the cases. A hang does not: every call would take its time.
			w := &wire{at: rnd.Int64N(requests), way: way{name: string(k), kind: k, lasting: i%2 == 0 && k != fault.Hang}}
			t.Run(string(k), func(t *testing.T) {
				t.Parallel()
				s.tryOnTheWire(t, op, at, w)
			})
		}
	})
	lab.Report(t, "%s: %d of %d cases at some of %d requests in %s", op.name, len(kinds), all, requests, time.Since(began).Round(time.Millisecond))
}

func (s *scene) tryOnTheWire(t *testing.T, op operation, at store, w *wire) {
	prefix := op.name + "/" + w.way.name
	clean := at.pair(t, prefix, nil)
	s.fill(t, clean)
	faulty := at.pair(t, prefix, w)
	c := cut{sink: spoiled, call: fault.Call{Op: "request", Key: fmt.Sprintf("%s of %s", w.way.name, op.name), Nth: int(w.at)}, way: w.way}
	told := run(t.Context(), t, op, faulty, c)
	if w.injected.Load() == 0 {
		t.Fatalf("the fault was never done; there were %d requests", w.seen.Load())
	}
	op.judge(t, told, clean, c)
	s.mustBeWhole(t, clean)
}
