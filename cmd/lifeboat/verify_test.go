package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestACopyWhoseManifestCannotBeReadIsNotAbsent is about what a person asks for by name: a sink that fails while the manifest is read must not
// look like one that never had the backup.
func TestACopyWhoseManifestCannotBeReadIsNotAbsent(t *testing.T) {
	t.Parallel()
	const id catalog.ID = "20261120T145000Z-r123456-7f3a9c"
	key := catalog.ManifestKey("prod", id)
	var e catalog.Entry
	e.ID, e.Cluster, e.Sinks = id, "prod", nil
	f := fault.New(fault.Options{At: func(c fault.Call) bool { return c.Op == fault.Open && c.Key == key }, Kind: fault.Unavailable})
	m := mem.New()
	if err := m.Put(t.Context(), key, strings.NewReader("x\n"), 2); err != nil {
		t.Fatal(err)
	}
	b := &bucket{sinks: []catalog.Named{{Name: "mem:", Sink: f.Of(m)}, {Name: "mem:never", Sink: mem.New()}}, cluster: "prod"}
	g := &global{streams: streams{out: io.Discard, err: &bytes.Buffer{}}, now: time.Now}
	l, err := b.list(t.Context(), g.streams)
	if err != nil || f.Injected() != 1 {
		t.Fatal(err)
	}
	v := &verification{flags: &verifyFlags{}, g: g, b: b, reports: &reporter{off: true}, unread: map[string]error{}, unusable: map[heldBy]error{}}
	v.heed(l)
	results := v.backup(t.Context(), e, newProgress(io.Discard))
	if len(results) != 2 || results[0].Absent || !results[1].Absent {
		t.Fatalf("results: %+v", results)
	}
	if err := v.verdict(t.Context(), results); !errors.Is(err, fault.ErrInjected) || exitCode(t.Context(), err) != exitSink {
		t.Errorf("the verdict is %v", err)
	}
}
