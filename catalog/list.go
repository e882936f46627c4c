package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// fetches is how many notes are fetched at once from each sink: a year of backups is thousands of them.
const fetches = 16

// An Entry is a backup that exists.
type Entry struct {
	Manifest
	Sig        Signature   `json:"signature"`
	TextSHA256 string      `json:"text_sha256"` // what the next manifest names
	Sinks      []string    `json:"sinks"`       // names of the sinks that hold this manifest, in the order given
	Accepted   bool        `json:"accepted"`    // a person accepted the lineage by this backup
	Held       bool        `json:"held"`        // a person forbade its removal
	HeldFor    string      `json:"held_for"`    // the reason that was given
	Doubts     []string    `json:"doubts"`      // why its lineage is suspect; none, or no longer, if empty
	DoubtCodes []DoubtCode `json:"doubt_codes"` // of Doubts, one for each
	Cleared    bool        `json:"cleared"`     // it was suspect because a sink could not be read, and that turned out to hide nothing

	// Blind says what would have spoken against the lineage of this backup if the run that founded it had seen those that are older.
	Blind []Doubt `json:"-"`
	// Decided is the time of the newest mark that counts: what is decided next has to be later, whatever the clock says.
	Decided  time.Time `json:"-"`
	Released string    `json:"-"` // key of the newest release that counts; "" if there is none
	Disputed string    `json:"-"` // why another manifest contradicts this one, and so one of them was replaced; "" if none does

	// Reports are the newest of each kind, oldest first; signed by a trusted key where there are trusted keys.
	Reports []Report `json:"-"`
	// Lacking are the copies whose payload is missing or of the wrong size; filled by FindPayloads and FindPayload only.
	Lacking []Fault `json:"-"`
	// ReportsUnread says that a report is there and could not be read.
	ReportsUnread bool `json:"-"`
}

// A Gap is a manifest named as predecessor that is in no sink. Pruning makes gaps; so does whoever removes backups.
type Gap struct {
	ID      ID // of the backup whose predecessor is missing
	Missing ID
}

// A Listing is what the sinks hold of one cluster.
type Listing struct {
	Cluster  string
	Entries  []Entry // oldest first: by start, revision, sequence, id
	Problems []*Problem
	Gaps     []Gap
	// IgnoredMarks counts marks without the signature of a trusted key where there are trusted keys.
	IgnoredMarks int
	// IgnoredReports counts, among the reports that were looked at, those without the signature of a trusted key where there are trusted keys.
	IgnoredReports int
	// CrossCheck is the newest comparison of the cluster's members, of whichever backup; nil if there is none.
	CrossCheck *Report
	// Others names the other clusters in the sinks, and is filled only if there is nothing of this one.
	Others []string
}

// List reads every manifest and mark of a cluster from every sink, several at once, and the reports that decide. Without a name the cluster is the one that is there;
// *SeveralClustersError if there are several. Manifests that are damaged, foreign, not authentic or different between
// sinks, and sinks that cannot be reached, are told as problems. It is an error only if no sink can be read.
func List(ctx context.Context, ss []Named, cluster string, t Trust) (Listing, error) {
	if cluster == "" {
		names, problems, err := Clusters(ctx, ss) // where there is a cluster, a problem will show again below
		switch {
		case err != nil:
			return Listing{}, err
		case len(names) > 1:
			return Listing{}, &SeveralClustersError{names}
		case len(names) == 0: // that can be seen
			return Listing{Problems: problems}, nil
		}
		cluster = names[0]
	} else if err := CheckCluster(cluster); err != nil {
		return Listing{}, err
	}
	l := Listing{Cluster: cluster}
	held := make([]holdings, len(ss))
	problems, err := eachSink(ctx, ss, func(ctx context.Context, i int) (err error) {
		held[i].manifests, err = fetchAll(ctx, ss[i], manifests(cluster), func(f fetched) found {
			e, err := readEntry(cluster, f, t)
			return found{key: f.key, entry: e, err: err}
		})
		if err != nil {
			return err
		}
		readOverwritten(ctx, ss[i], cluster, held[i].manifests, t)
		held[i].marks, err = fetchAll(ctx, ss[i], marks(cluster), func(f fetched) foundMark { return readMark(cluster, f, t) })
		if err != nil {
			return err
		}
		held[i].reports, err = listReports(ctx, ss[i], cluster)
		return err
	})
	if err != nil {
		return Listing{}, err
	}
	l.Problems = problems
	l.mergeManifests(ss, held)
	l.mergeMarks(ss, held, t)
	l.readReports(ctx, ss, held, t)
	if err := ctx.Err(); err != nil {
		return Listing{}, fmt.Errorf("list backups: %w", err)
	}
	l.checkChain()
	l.clearUnseen()
	l.judgeBlind()
	l.doubt()
	if len(l.Entries) == 0 && len(l.Problems) == 0 {
		if l.Others, _, err = Clusters(ctx, ss); err != nil {
			return Listing{}, err
		}
	}
	return l, nil
}

// eachSink runs f for every sink at once. A failing sink is a problem, unless all fail or the context ended.
func eachSink(ctx context.Context, ss []Named, f func(ctx context.Context, i int) error) ([]*Problem, error) {
	errs := make([]error, len(ss))
	var g errgroup.Group
	for i := range ss {
		g.Go(func() error {
			errs[i] = f(ctx, i)
			return nil // one sink's failure must not end the others' work
		})
	}
	_ = g.Wait() // always nil, see above
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	var problems []*Problem
	for i, err := range errs {
		if err != nil {
			problems = append(problems, &Problem{Sink: ss[i].Name, Err: err})
		}
	}
	switch {
	case len(ss) == 0:
		return nil, usagef("there is no sink to look into")
	case len(problems) == len(ss):
		var err error = problems[0]
		for _, p := range problems[1:] {
			err = fmt.Errorf("%w; %w", err, p)
		}
		return nil, fmt.Errorf("list backups: %w", err)
	}
	return problems, nil
}

// holdings is what one sink holds; nothing if it could not be read.
type holdings struct {
	manifests []found
	marks     []foundMark
	reports   []sinks.Object
}

// fetched is a note as it came, or why it did not.
type fetched struct {
	key  string
	data []byte
	err  error
}

// fetchAll fetches every note under a prefix, in key order, and has each read as soon as it came, so that not all of them are in memory: whoever may
// write into a sink could put any number there. An error is one of listing; those of single notes are given to read.
func fetchAll[T any](ctx context.Context, s Named, prefix string, read func(fetched) T) ([]T, error) {
	var keys []string
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, o.Key)
	}
	all, gone := make([]T, len(keys)), make([]bool, len(keys))
	var g errgroup.Group
	g.SetLimit(fetches)
	for i, key := range keys {
		g.Go(func() error {
			data, err := getNote(ctx, s, key)
			if gone[i] = errors.Is(err, fs.ErrNotExist); !gone[i] {
				all[i] = read(fetched{key, data, err})
			}
			return nil // kept in its place
		})
	}
	_ = g.Wait() // always nil, see above
	// What was removed since it was listed does not exist.
	kept := all[:0]
	for i := range all {
		if !gone[i] {
			kept = append(kept, all[i])
		}
	}
	return kept, nil
}

// mergeManifests makes one list of what the sinks hold.
func (l *Listing) mergeManifests(ss []Named, held []holdings) {
	at := make(map[ID]int)
	for i := range held {
		for _, f := range held[i].manifests {
			e, err := f.entry, f.err
			if f.wrong != nil {
				l.Problems = append(l.Problems, &Problem{ss[i].Name, f.key, e.ID, f.wrong})
			}
			n, known := at[e.ID]
			switch {
			case err != nil:
				id, _ := parseManifestKey(l.Cluster, f.key)
				l.Problems = append(l.Problems, &Problem{ss[i].Name, f.key, id, err})
			case !known:
				e.Sinks = []string{ss[i].Name}
				at[e.ID] = len(l.Entries)
				l.Entries = append(l.Entries, e)
			case e.TextSHA256 != l.Entries[n].TextSHA256:
				l.differ(n, e, ss[i].Name)
			default:
				was := &l.Entries[n]
				if was.Sinks = append(was.Sinks, ss[i].Name); e.Sig.Trusted && !was.Sig.Trusted {
					was.Sig = e.Sig
				}
			}
		}
	}
	slices.SortFunc(l.Entries, compareEntries)
}

// differ tells that a sink has another manifest of an entry's id. What a trusted key has signed counts then, and is not doubted for the sake of what none has.
func (l *Listing) differ(n int, e Entry, sink string) {
	was := &l.Entries[n]
	wrong, right := []string{sink}, was.Sinks[0]
	switch {
	case e.Sig.Trusted == was.Sig.Trusted:
		was.Disputed = fmt.Sprintf("its manifests in %s and in %s differ", right, sink)
	case e.Sig.Trusted:
		wrong, right = was.Sinks, sink
		e.Sinks = []string{sink}
		*was = e
	}
	for _, s := range wrong {
		err := fmt.Errorf("%w: it differs from the manifest of the same id in %s", ErrNotAuthentic, right)
		l.Problems = append(l.Problems, &Problem{s, ManifestKey(l.Cluster, e.ID), e.ID, err})
	}
}

func readEntry(cluster string, f fetched, t Trust) (Entry, error) {
	if f.err != nil {
		return Entry{}, f.err
	}
	id, err := parseManifestKey(cluster, f.key)
	if err != nil {
		return Entry{}, err
	}
	m, sig, err := Decode(f.data, t)
	if err != nil {
		return Entry{}, err
	}
	if m.ID != id || m.Cluster != cluster {
		return Entry{}, fmt.Errorf("manifest: %w: it is the one of %s of cluster %s", ErrNotAuthentic, m.ID, m.Cluster)
	}
	return Entry{Manifest: m, Sig: sig, TextSHA256: TextSHA256(f.data)}, nil
}

// clearUnseen ends the suspicion against the oldest lineage, where that was only that something older may have been in a sink
// that could not be read: now all can, and there is nothing.
func (l *Listing) clearUnseen() {
	if l.hides() != nil || len(l.Entries) == 0 {
		return
	}
	oldest := histories(l.Entries)[0].Lineage
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Cleared = e.Lineage == oldest && e.Suspect.Unseen
	}
}

// doubt spreads the suspicion of lineages over their backups.
func (l *Listing) doubt() {
	suspect := make(map[Lineage]*history)
	for _, h := range histories(l.Entries) {
		if !h.accepted {
			suspect[h.Lineage] = h
		}
	}
	for i := range l.Entries {
		e := &l.Entries[i]
		var doubts []Doubt
		if h := suspect[e.Lineage]; h != nil {
			if doubts = e.ownDoubts(); len(doubts) == 0 { // it is unsigned, and others are not
				doubts = h.doubts()
			}
		}
		e.setDoubts(doubts)
		e.Sig.By = orEmpty(e.Sig.By)
	}
}
