package catalog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestResolveFindsWhatIsMeant(t *testing.T) {
	t.Parallel()
	a := []Named{{"mem:a", mem.New()}}
	k := newKey(t, "prod")
	one := backupAt(t, a, 0, 0xa, 100, 1000, k)  // 12:00:00 to 12:01:00
	two := backupAt(t, a, 15, 0xa, 150, 1000, k) // 12:15:00 to 12:16:00
	three := backupAt(t, a, 30, 0xb, 5, 10, k)   // suspect
	four := backupAt(t, a, 45, 0xb, 6, 10, k)    // suspect
	unsigned := backupAt(t, a, 60, 0xb, 7, 10, key{trust: Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}})
	l := list(t, a, k.trust)
	accepted := l
	accepted.Entries = nil
	for _, e := range l.Entries { // as after an acceptance of the newer lineage
		e.Accepted, e.Doubts = e.Accepted || e.ID == four, nil
		accepted.Entries = append(accepted.Entries, e)
	}
	now := day0().Add(3 * time.Hour)
	for name, c := range map[string]struct {
		l        Listing
		selector string
		want     ID
		skipped  string // ids and words of the reasons
		err      error
		says     string
	}{
		"latest":                  {l: l, selector: "latest", want: two, skipped: string(three) + " suspect: the etcd cluster id is b|" + string(four) + " suspect|" + string(unsigned) + " not authentic"},
		"latest, accepted":        {l: accepted, selector: "latest", want: four, skipped: string(unsigned) + " not authentic"},
		"id":                      {l: l, selector: string(one), want: one},
		"id of a suspect":         {l: l, selector: string(three), want: three},
		"beginning":               {l: l, selector: "20261120T1215", want: two},
		"beginning of several":    {l: l, selector: "20261120T12", err: ErrUsage, says: "4 backups begin with 20261120T12: " + string(one)},
		"not authentic":           {l: l, selector: string(unsigned), err: ErrNotAuthentic, says: "not signed"},
		"unknown":                 {l: l, selector: "20261120T121600Z-r150-ffffff", err: ErrNotFound, says: "near it are " + string(one) + ", " + string(two) + ", " + string(three) + ", " + string(four)},
		"older than all":          {l: l, selector: "2019", err: ErrNotFound, says: "near it are " + string(one)},
		"newer than all":          {l: l, selector: "2030", err: ErrNotFound, says: "near it are " + string(three) + ", " + string(four)},
		"a word":                  {l: l, selector: "newest", err: ErrUsage, says: "nor latest, latest-verified or before:TIME"},
		"nothing":                 {l: l, selector: "", err: ErrUsage},
		"before":                  {l: l, selector: "before:2026-11-20T12:15:30Z", want: one, skipped: string(two) + " finished only at 2026-11-20T12:16:00Z"},
		"before, to the second":   {l: l, selector: "before:2026-11-20T12:16:00Z", want: two},
		"before, another zone":    {l: l, selector: "before:2026-11-20T13:16:00+01:00", want: two},
		"before, UTC":             {l: l, selector: "before:2026-11-20 12:10", want: one},
		"before, with T":          {l: l, selector: "before:2026-11-20T12:10", want: one},
		"before, as in an id":     {l: l, selector: "before:20261120T121000Z", want: one},
		"before, clock":           {l: l, selector: "before:12:10", want: one},
		"before, day":             {l: l, selector: "before:2026-11-21", want: two, skipped: string(three) + " suspect|" + string(four) + " suspect|" + string(unsigned) + " not authentic"},
		"before, day, accepted":   {l: accepted, selector: "before:2026-11-21", want: four, skipped: string(unsigned) + " not authentic"},
		"before, older lineage":   {l: accepted, selector: "before:2026-11-20T12:29:00Z", want: two},
		"before all":              {l: l, selector: "before:2026-11-20", err: ErrNotFound, says: "the oldest is " + string(one)},
		"before, nonsense":        {l: l, selector: "before:teatime", err: ErrUsage, says: "teatime"},
		"before, nothing":         {l: l, selector: "before:", err: ErrUsage},
		"before, a later o'clock": {l: l, selector: "before:23:00", err: ErrNotFound, says: "2026-11-19T23:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, skips, err := c.l.Resolve(c.selector, now)
			if !errors.Is(err, c.err) || c.err == nil && err != nil || c.err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %v %q", err, c.err, c.says)
			}
			if e.ID != c.want {
				t.Errorf("got %s, want %s", e.ID, c.want)
			}
			var want []string
			if c.skipped != "" {
				want = strings.Split(c.skipped, "|")
			}
			if c.err != nil {
				return
			}
			for i, s := range skips {
				if i >= len(want) || !strings.HasPrefix(want[i], string(s.ID)) || !strings.Contains(s.Reason, want[i][len(s.ID)+1:]) {
					t.Errorf("skipped %s: %s", s.ID, s.Reason)
				}
			}
			if len(skips) != len(want) {
				t.Errorf("skipped %v, want %q", skips, want)
			}
		})
	}
}

func TestResolveSaysWhyThereIsNothing(t *testing.T) {
	t.Parallel()
	now := day0()
	problem := &Problem{"mem:a", ManifestKey("prod", id1), id1, ErrNotAuthentic}
	suspect := Entry{Manifest: sample(id1), Doubts: []string{"it is suspect"}}
	for name, c := range map[string]struct {
		l    Listing
		want error
		says string
	}{
		"no cluster":         {Listing{}, ErrNotFound, "no such backup: "},
		"other clusters":     {Listing{Cluster: "prod", Others: []string{"dev", "test"}}, ErrNotFound, "of cluster prod: there is none; there are backups of dev, test"},
		"only unusable ones": {Listing{Cluster: "prod", Problems: []*Problem{problem}}, ErrNotAuthentic, "not authentic"},
		"only suspect ones":  {Listing{Cluster: "prod", Entries: []Entry{suspect}}, ErrNotFound, "accept one"},
		"a sink unread":      {Listing{Cluster: "prod", Problems: []*Problem{{Sink: "s3://b", Err: errors.New("refused")}}}, ErrNotFound, "not everything could be read: sink s3://b: refused"},
	} {
		_, skips, err := c.l.Resolve("latest", now)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.l.Entries) > 0 && (len(skips) != 1 || skips[0].Reason != "suspect: it is suspect") {
			t.Errorf("%s: skipped %v", name, skips)
		}
	}
}

func TestLatestIsOfTheNewestAcceptedLineage(t *testing.T) {
	t.Parallel()
	// A zombie of the old cluster goes on writing where nobody watches it, without seeing the newer lineage.
	entry := func(minute int, first ID, etcd HexID, reasons ...string) Entry {
		m := sample(ID(day0().Add(time.Duration(minute)*time.Minute).Format(idTime) + "-r5-000000"))
		if first == "" {
			first = m.ID
		}
		m.Lineage, m.Suspect.Reasons = Lineage{first, etcd}, reasons
		return Entry{Manifest: m}
	}
	old := entry(0, "", 0xa)
	restored := entry(10, "", 0xb, "another cluster id")
	restored.Accepted = true
	after := entry(20, restored.ID, 0xb)
	zombie := entry(30, old.ID, 0xa)
	l := Listing{Cluster: "prod", Entries: []Entry{old, restored, after, zombie}}
	e, skips, err := l.Resolve("latest", day0())
	if err != nil || e.ID != after.ID {
		t.Fatalf("%s %v", e.ID, err)
	}
	if diff := cmp.Diff([]Skip{{zombie.ID, "it is of the older lineage of " + string(old.ID)}}, skips); diff != "" {
		t.Error(diff)
	}
}

// Racing schedules and quick hands: the id's random part says nothing about which was first.
func TestOfOneSecondAndRevisionTheHigherSequenceIsTheNewer(t *testing.T) {
	t.Parallel()
	s := []Named{{"mem:a", mem.New()}}
	var made []ID
	for _, random := range []string{"ffffff", "888888", "000000", "aaaaaa"} {
		m := sample(ID(day0().Format(idTime) + "-r100-" + random))
		m.Lineage = Lineage{EtcdClusterID: 1}
		l := list(t, s, Trust{})
		l.Link(&m)
		if err := Commit(t.Context(), s[0], encode(t, m)); err != nil {
			t.Fatal(err)
		}
		if made = append(made, m.ID); m.Sequence != int64(len(made)) {
			t.Fatalf("%s has sequence %d", m.ID, m.Sequence)
		}
	}
	l := list(t, s, Trust{})
	if diff := cmp.Diff(made, ids(l)); diff != "" {
		t.Error(diff)
	}
	e, skips, err := l.Resolve("latest", day0().Add(time.Hour))
	if err != nil || e.ID != made[3] || len(skips) > 0 {
		t.Errorf("latest is %s, passing over %v: %v", e.ID, skips, err)
	}
}
