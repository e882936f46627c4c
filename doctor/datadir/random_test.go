package datadir

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// drawn is the seed of what is broken: the same each time, because a run that has to pass must not depend on it. LIFEBOAT_SEED=N goes
// looking for more.
func drawn() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("LIFEBOAT_SEED"), 10, 64); err == nil {
		return n
	}
	return 1
}

// TestNoDamageKillsWhoLooks gives it directories that are broken at random: a file is cut off, filled with noise, has pages zeroed or
// exchanged, or bits flipped. It has to answer, and to change nothing.
func TestNoDamageKillsWhoLooks(t *testing.T) {
	t.Parallel()
	cases := 18
	if lab.Long() {
		cases = 600
	}
	h := newHost(t)
	h.must("3.6", snapshotting(), puts(t, 30))
	seed := drawn()
	r := rand.New(rand.NewPCG(seed, 2))
	counts := map[string]int{}
	for n := range cases {
		broken := h.fork("broken")
		name := spoil(t, r, broken, n)
		d, err := Inspect(t.Context(), broken.dir)
		if err != nil {
			t.Fatalf("seed %d, case %d, %s: %v", seed, n, name, err)
		}
		switch {
		case len(d.Findings) == 0:
			counts["nothing"]++
		default:
			for _, f := range d.Findings {
				counts[f.Code]++
				if strings.ContainsAny(f.Detail, "\n\x00") {
					t.Errorf("seed %d, case %d, %s: unprintable: %q", seed, n, name, f.Detail)
				}
			}
		}
		must(t, os.RemoveAll(broken.dir))
	}
	lab.Report(t, "%d broken data directories, seed %d: found %v", cases, seed, counts)
	if counts[WALDamaged] == 0 || counts[DBDamaged] == 0 {
		t.Errorf("seed %d: nothing was broken so that it was found: %v", seed, counts)
	}
}

// spoil breaks one file, each kind in turn.
func spoil(t *testing.T, r *rand.Rand, h *host, n int) string {
	t.Helper()
	f, err := survey(h.dir)
	must(t, err)
	f.close()
	targets := []string{
		filepath.Join(f.snapDir, "db"), filepath.Join(f.walDir, f.segments[r.IntN(len(f.segments))]), filepath.Join(f.snapDir, f.snaps[0]),
	}
	target := targets[n%len(targets)]
	data, err := os.ReadFile(target)
	must(t, err)
	used := max(len(bytes.TrimRight(data, "\x00")), 64)
	at := r.IntN(used)
	what := ""
	switch (n / len(targets)) % 6 {
	case 0:
		what = "cut off"
		must(t, os.Truncate(target, int64(at)))
	case 1:
		what = "bits flipped"
		for range 1 + r.IntN(4) {
			at = r.IntN(used)
			overwrite(t, target, int64(at), []byte{data[at] ^ 1<<r.IntN(8)})
		}
	case 2:
		what = "zeroed"
		overwrite(t, target, int64(at), make([]byte, 1+r.IntN(4096)))
	case 3:
		what = "noise"
		noise := make([]byte, 1+r.IntN(4096))
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		overwrite(t, target, int64(at), noise)
	case 4:
		what = "emptied"
		must(t, os.Truncate(target, 0))
	default:
		what = "a part in another's place"
		part := slices.Clone(data[at:min(at+4096, used)])
		overwrite(t, target, int64(r.IntN(used)), part)
	}
	return filepath.Base(target) + " " + what
}

// TestDamagedLogsAreSevereIfEtcdDoesNotServeThem breaks logs at random, in what they hold and behind it, and has a real etcd say whether
// what is found is right: what is severe it does not serve, and what is not it serves whole.
func TestDamagedLogsAreSevereIfEtcdDoesNotServeThem(t *testing.T) {
	t.Parallel()
	cases := 4
	if lab.Long() {
		cases = 40
	}
	h := newHost(t)
	h.must("3.7", snapshotting(), puts(t, 30))
	h.must("3.7", nil, puts(t, 10))
	revision := inspected(t, h.dir).Revision
	seed := drawn()
	r := rand.New(rand.NewPCG(seed, 3))
	severe, silent := 0, 0
	for n := range cases {
		broken := h.fork("broken")
		name := ""
		if n%2 == 0 {
			name = spoil(t, r, broken, 3*(n/2)+1)
		} else {
			name = scribble(t, r, broken)
		}
		d := inspected(t, broken.dir)
		err := broken.answers("3.7", revision, !d.Severe())
		switch {
		case d.Has(DBAhead): // by a single entry an etcd may get over it: the one it takes for applied is then its own election's, which holds nothing
		case d.Severe() && err != nil:
			severe++
		case !d.Severe() && err == nil:
			silent++
		default:
			t.Errorf("seed %d, case %d, %s: found %+v; etcd says %v", seed, n, name, d.Findings, err)
		}
		must(t, os.RemoveAll(broken.dir))
	}
	lab.Report(t, "%d damaged logs, seed %d: etcd does not serve %d, and serves %d", cases, seed, severe, silent)
}

// scribble writes behind the last record, as a member does that dies while it writes, or not quite so.
func scribble(t *testing.T, r *rand.Rand, h *host) string {
	t.Helper()
	name, end := tail(t, h)
	claimed := 1 + r.IntN(3000)
	data := binary.LittleEndian.AppendUint64(nil, uint64(claimed))
	for range r.IntN(claimed + 1) {
		data = append(data, byte(r.Uint32()))
	}
	overwrite(t, name, end, data)
	return fmt.Sprintf("%d of %d bytes behind the end", len(data)-8, claimed)
}
