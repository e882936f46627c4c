package prune

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// A world is a bucket and the cluster that is backed up into it, with what really happened, which no backup knows.
type world struct {
	*rand.Rand
	telling bool // it costs a third of the time
	story   []string

	now  time.Time     // true time
	skew time.Duration // of the host that backs up

	etcd           catalog.HexID
	revision, keys int64
	etcds          catalog.HexID // how many cluster ids there were

	entries  []catalog.Entry // sorted as a listing has them
	lost     map[catalog.ID]bool
	born     map[catalog.Lineage]int              // in which order lineages really began
	highest  map[catalog.Lineage]catalog.Manifest // the latest state that was ever backed up of each
	approved map[catalog.Lineage]bool             // a person has accepted it
	made     int
	wrong    error // a lineage was continued by what does not belong to it
}

func newWorld(seed, n uint64) *world {
	return &world{
		Rand: rand.New(rand.NewPCG(seed, n)), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		etcd: 1, etcds: 1, revision: 5000, keys: 1000,
		lost: map[catalog.ID]bool{}, born: map[catalog.Lineage]int{}, highest: map[catalog.Lineage]catalog.Manifest{}, approved: map[catalog.Lineage]bool{},
	}
}

func (w *world) tell(format string, args ...any) {
	if w.telling {
		w.story = append(w.story, fmt.Sprintf(format, args...))
	}
}

// chance is true in so many of a hundred cases.
func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.Int64N(int64(high-low)))
}

func (w *world) listing() catalog.Listing {
	return catalog.Listing{Cluster: "prod", Entries: w.entries}.Without()
}

// manifest is of a backup taken now by the cluster as it is.
func (w *world) manifest() catalog.Manifest {
	started := w.now.Add(w.skew).Truncate(time.Millisecond)
	w.made++
	id := catalog.ID(fmt.Sprintf("%s-r%d-%06x", started.Format("20060102T150405Z"), w.revision, w.made))
	m := catalog.Manifest{
		ID: id, Cluster: "prod", Started: started, Finished: started.Add(w.between(time.Second, 5*time.Minute)),
		Revision: w.revision, LiveKeys: w.keys, Lineage: catalog.Lineage{EtcdClusterID: w.etcd},
	}
	m.Sealed.Key, m.Sealed.Size = catalog.SealedKey("prod", id, true), 1000
	m.ReadBack = catalog.ReadBack{Mode: "always", OK: true}
	if w.chance(10) {
		m.ReadBack = catalog.ReadBack{Mode: "checksum"}
	}
	return m
}

// link makes it continue what its writer has seen, which must not be what has gone further.
func (w *world) link(l catalog.Listing, m *catalog.Manifest) {
	l.Link(m)
	h, ok := w.highest[m.Lineage]
	if ok && m.Revision < h.Revision && (h.Finished.Before(m.Started) || h.Started.After(m.Finished)) && w.wrong == nil {
		w.wrong = fmt.Errorf("%s continues the lineage of %s, which had reached revision %d", m.ID, m.Lineage.First, h.Revision)
	}
}

func (w *world) commit(m catalog.Manifest) {
	if _, ok := w.born[m.Lineage]; !ok {
		w.born[m.Lineage] = len(w.born)
	}
	if h, ok := w.highest[m.Lineage]; !ok || m.Revision >= h.Revision {
		w.highest[m.Lineage] = m
	}
	at, _ := slices.BinarySearchFunc(w.entries, m, func(e catalog.Entry, m catalog.Manifest) int {
		if c := strings.Compare(string(e.ID[:16]), string(m.ID[:16])); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(e.Revision, m.Revision), cmp.Compare(e.Sequence, m.Sequence), strings.Compare(string(e.ID), string(m.ID)))
	})
	w.entries = slices.Insert(slices.Clone(w.entries), at, catalog.Entry{Manifest: m, TextSHA256: string(m.ID), Sinks: []string{"sink"}})
	w.tell("backup %s keys %d lineage %s seq %d suspect %q", m.ID, m.LiveKeys, m.Lineage.First, m.Sequence, m.Suspect.Reasons)
}

// backup is one run, or several that follow their schedule.
func (w *world) backup() {
	for range 1 + w.IntN(6) {
		w.work()
		m := w.manifest()
		w.link(w.listing(), &m)
		w.commit(m)
		w.now = w.now.Add(w.between(5*time.Minute, 10*time.Hour))
	}
}

// race is two runs that do not see each other's manifest.
func (w *world) race() {
	l := w.listing()
	first := w.manifest()
	w.now = w.now.Add(w.between(0, 10*time.Second))
	w.work()
	second := w.manifest()
	w.link(l, &first)
	w.link(l, &second)
	w.tell("racing:")
	w.commit(second)
	w.commit(first)
	w.now = w.now.Add(time.Hour)
}

// blind is a run that sees nothing, because it has only a new sink that is empty. Its count says nothing of when its lineage began, so
// its date must be right, and those before it: were both wrong, nobody could tell.
func (w *world) blind() {
	if w.skew != 0 || len(w.entries) > 0 && w.entries[len(w.entries)-1].Started.After(w.now) {
		return
	}
	w.work()
	m := w.manifest()
	catalog.Listing{Cluster: "prod"}.Link(&m)
	w.tell("blind:")
	w.commit(m)
	w.now = w.now.Add(time.Hour)
}

// work is what the cluster's users do.
func (w *world) work() {
	w.revision += w.Int64N(500)
	w.keys = max(10, w.keys+w.Int64N(w.keys/5+1)-w.keys/10)
}

// wipe is the data directories removed and the cluster started again: by the same script, or with another token.
func (w *world) wipe() {
	w.revision, w.keys = 1+w.Int64N(50), 10+w.Int64N(30)
	if w.chance(40) {
		w.etcds++
		w.etcd = w.etcds
	}
	w.tell("wiped; etcd cluster id %s", w.etcd)
}

// rollback is the machines put back to an older state of their disks: nothing but the revision tells.
func (w *world) rollback() {
	w.revision = max(1, w.revision-w.Int64N(3000))
	w.tell("rolled back to revision %d", w.revision)
}

// restore puts the cluster back to a backup, as our own restore does.
func (w *world) restore() {
	if len(w.entries) == 0 {
		return
	}
	e, _, err := w.listing().Resolve("latest", w.now)
	if err != nil || w.chance(30) {
		e = w.entries[w.IntN(len(w.entries))]
	}
	w.etcds++
	w.etcd, w.revision, w.keys = w.etcds, e.Revision, e.LiveKeys
	if w.chance(70) {
		w.revision += 1_000_000_000
	}
	w.tell("restored %s; etcd cluster id %s", e.ID, w.etcd)
}

func (w *world) clock() {
	switch w.IntN(4) {
	case 0:
		w.skew = 0
	case 1:
		w.skew = w.between(-3*time.Hour, 3*time.Hour)
	case 2:
		w.skew = w.between(-60*24*time.Hour, 60*24*time.Hour)
	default:
		w.skew = time.Duration(w.IntN(41)-20) * 365 * 24 * time.Hour
	}
	w.tell("the clock is off by %s", w.skew)
}

// decide is what people do with single backups.
func (w *world) decide() {
	if len(w.entries) == 0 {
		return
	}
	e := &w.entries[w.IntN(len(w.entries))]
	report := catalog.Report{ID: e.ID, Cluster: "prod", Report: catalog.ReportVerify, Deep: true, Time: w.now, OK: true, Sinks: []catalog.SinkResult{{Sink: "sink", OK: true}}}
	switch n := w.IntN(10); {
	case n < 2:
		e.Held = true
		w.tell("hold %s", e.ID)
	case n < 3:
		e.Held = false
		w.tell("release %s", e.ID)
	case n < 5:
		e.Accepted, w.approved[e.Lineage] = true, true
		w.tell("accept %s", e.ID)
	case n < 8:
		w.tell("proven %s", e.ID)
		e.Reports = append(slices.Clone(e.Reports), report)
	case n < 9:
		report.OK, report.Sinks = false, []catalog.SinkResult{{Sink: "sink"}}
		e.Reports = append(slices.Clone(e.Reports), report)
		w.tell("found damaged %s", e.ID)
	default:
		w.lost[e.ID] = true
		w.tell("payload lost of %s", e.ID)
	}
	w.now = w.now.Add(time.Minute)
}

// live lets something happen.
func (w *world) live() {
	switch n := w.IntN(100); {
	case n < 2:
		w.blind()
	case n < 40:
		w.backup()
	case n < 47:
		w.race()
	case n < 52:
		w.wipe()
	case n < 55:
		w.rollback()
	case n < 60:
		w.restore()
	case n < 67:
		w.clock()
	case n < 73:
		w.now = w.now.Add(w.between(7*24*time.Hour, 10*7*24*time.Hour))
		w.tell("weeks without a backup")
	default:
		w.decide()
	}
}
