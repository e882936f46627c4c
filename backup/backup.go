// Package backup takes one backup of one cluster: source → spool, sealed as it arrives → inspected, and beside that uploaded to every sink → read
// back → manifest.
//
// It refuses to call anything a backup before the sealed bytes were read back from the sink, decrypted and compared (or, where Options.ReadBack
// says so, decrypted and compared here, and found by the store's checksum to be what it has taken), and it
// never writes to the cluster: the only requests it makes are status, member list, alarms, one linearizable read, and Snapshot
// (and HashKV, which stops a member's writes while it runs, only where Options.Attest asks for it).
package backup

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say what to back up, to where, and sealed to whom.
type Options struct {
	Cluster    string // name in the bucket
	Etcd       snapshot.Config
	Sinks      []catalog.Named
	Recipients []crypto.Recipient              // nobody only where Plain
	Plain      bool                            // store the backup readable by anyone
	ReadBack   map[string]catalog.ReadBackMode // by the sink's name how its copy is proved; always where nothing is said
	Signers    []note.Signer                   // none: manifests are not signed
	Trust      catalog.Trust                   // how far manifests already there are believed

	SpoolDir      string        // a folder with room for the database and its sealed file
	AllowNoQuorum bool          // take what a member has although no quorum vouches for it
	Attest        bool          // compare with the live HashKV of every member, which stops their writes meanwhile
	Stall         time.Duration // less than 64 KiB in this long is a stall; 0 means 30 s
	PreUpgrade    bool          // say in the manifest that it was taken just before an upgrade

	// Reserve is told, before the first byte is spooled, how many there may be; it may wait until there is room, and what it returns is called
	// at the end. Nil: there is nobody to share the folder with.
	Reserve func(ctx context.Context, bytes int64) (release func(), err error)

	Tool     string // our version, for the manifest
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(p Phase, done, total int64) // bytes; may be called from several goroutines
}

// Result is a backup that exists in at least one sink.
type Result struct {
	Manifest catalog.Manifest
	Sinks    []Delivery
	Phases   []PhaseTime
	Repaired []Repair // earlier backups that a sink had missed
	Suspect  []string // why the backup did not continue its cluster's lineage; empty when it did
}

// Failed returns the deliveries that did not end in a committed backup.
func (r *Result) Failed() []Delivery {
	var failed []Delivery
	for _, d := range r.Sinks {
		if d.Err != nil {
			failed = append(failed, d)
		}
	}
	return failed
}

// writeBackStep is in how large steps a spool is written to a disk that it shares with an etcd member, in bytes.
const writeBackStep = 8 << 20

// Run takes one backup. It returns a result when at least one sink holds the committed backup (see Result.Failed for the
// others), and an error when none is known to; then what was uploaded is without a manifest and nothing is visible, unless
// the error is an *UncertainError.
//
// Errors match snapshot.ErrUnavailable (etcd), *sinks.Error (a sink), crypto.ErrDamaged or snapshot.ErrDamaged (bytes that
// are not what was written).
func Run(ctx context.Context, o Options) (*Result, error) {
	r := &runner{Options: o, started: o.Now().UTC(), times: newTimeline(o.Log)}
	defer r.close()
	if err := r.open(); err != nil {
		return nil, err
	}
	if err := r.survey(ctx); err != nil {
		return nil, err
	}
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	r.record(ctx)
	r.repair(ctx)
	if c := r.manifest.RecipientsChanged; c != nil {
		r.Log.Warn("backups are sealed to other recipients than before, and nobody has accepted that", "cluster", r.Cluster, "id", r.manifest.ID,
			"since", c.Since, "before", c.Before, "now", r.manifest.Sealed.Fingerprints)
	}
	return &Result{Manifest: r.manifest, Sinks: r.deliveries, Phases: r.times.all(), Repaired: r.repaired, Suspect: r.manifest.Suspect.Reasons}, nil
}

// runner is one backup under way.
type runner struct {
	Options
	started time.Time

	spool, sealed *snapshot.Spool
	release       func() // of what Reserve gave
	cluster       *snapshot.Cluster
	found         *snapshot.Survey
	before        catalog.Listing

	source   snapshot.Endpoint
	saved    snapshot.Saved
	seal     *crypto.Seal
	info     *snapshot.Info
	attested []string // names of the members whose live HashKV equalled ours
	checked  chan struct{}
	unsound  error // once checked is closed: why what was taken is no backup

	proving sync.Mutex
	proofs  []catalog.SinkReadBack // of each sink

	id         catalog.ID
	key        string // of the sealed file
	manifest   catalog.Manifest
	deliveries []Delivery
	repaired   []Repair

	noteOnce sync.Once
	note     []byte // the manifest as it is written
	noteErr  error

	times   *timeline
	skipped []error // why members before the source were left
}

// open makes the two spools first: a folder that cannot be written must be known before a member is asked to send gigabytes.
func (r *runner) open() (err error) {
	if r.spool, err = snapshot.NewSpool(r.SpoolDir); err != nil {
		return err
	}
	if r.sealed, err = snapshot.NewSpool(r.SpoolDir); err != nil {
		return err
	}
	if dir, yes := snapshot.SpoolOnEtcdDisk(r.SpoolDir); yes {
		r.Log.Warn("the spool is on the disk of an etcd member, whose writes will feel it", "spool", r.SpoolDir, "data", dir)
		r.spool.WriteBack(writeBackStep)
		r.sealed.WriteBack(writeBackStep)
	}
	return nil
}

func (r *runner) close() {
	if r.seal != nil {
		r.seal.Forget()
	}
	for _, s := range []*snapshot.Spool{r.spool, r.sealed} {
		if s != nil {
			s.Close()
		}
	}
	if r.release != nil {
		r.release()
	}
	if r.cluster != nil {
		r.cluster.Close()
	}
}

// survey asks every endpoint and every sink what is there.
func (r *runner) survey(ctx context.Context) (err error) {
	defer r.times.enter(PhaseSurvey)()
	if r.cluster, err = snapshot.Connect(ctx, r.Etcd); err != nil {
		return err
	}
	if r.found, err = r.cluster.Survey(ctx); err != nil {
		return err
	}
	for _, x := range r.found.Excluded {
		r.Log.Warn("member is not a source", "endpoint", x.Endpoint, "reason", x.Reason)
	}
	if err := r.reserve(ctx, r.found.Candidates[0].DBSize); err != nil {
		return err
	}
	if !r.found.Quorum && !r.AllowNoQuorum {
		return &NoQuorumError{r.found.Unread}
	}
	// What was stored before signing was turned on is part of the cluster's history: it can only add suspicion, and decides nothing.
	history := r.Trust
	history.AcceptUnsigned = true
	if r.before, err = catalog.List(ctx, r.Sinks, r.Cluster, history); err != nil {
		return err
	}
	for _, p := range r.before.Problems {
		r.Log.Warn("cannot read what a sink holds", "sink", p.Sink, "key", p.Key, "err", p.Err)
	}
	return r.avoid()
}

// reserve waits for room in the spool's folder, and looks whether it is there.
func (r *runner) reserve(ctx context.Context, size int64) (err error) {
	if r.Reserve != nil {
		if r.release, err = r.Reserve(ctx, 2*size); err != nil {
			return err
		}
	}
	return r.checkRoom(size)
}

// checkRoom refuses a spool that cannot hold the database, and warns of one that may not hold the sealed file beside it, which can be
// as large but hardly ever is.
func (r *runner) checkRoom(size int64) error {
	if err := snapshot.Room(r.SpoolDir, size); err != nil {
		return err
	}
	if err := snapshot.Room(r.SpoolDir, 2*size); err != nil {
		r.Log.Warn("the sealed file may not fit beside the database", "err", err)
	}
	return nil
}
