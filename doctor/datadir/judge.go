package datadir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// contents is what was read of a directory, from which it is judged.
type contents struct {
	dir   *Dir
	files *files

	info     *snapshot.Info // nil: the database was not or could not be read
	dbDamage string
	db       *dbFacts
	log      *logFacts // nil: there is none, or it kills who reads it
	logFault string    // then why
}

// fragmented is the part of a database, of pages, from which on free space is worth a word, and the least of it in bytes.
const (
	fragmentedPart = 0.5
	fragmentedSize = 64 << 20
)

// read has everything read. An error is the machine's.
func (c *contents) read(ctx context.Context) error {
	if c.files.db != nil && !c.dir.InUse {
		if err := c.readDB(ctx); err != nil {
			return err
		}
	}
	if len(c.files.segments) == 0 {
		return nil
	}
	a, err := ask(ctx, order{WALDir: c.files.walDir, Segments: c.files.segments, SnapDir: c.files.snapDir, Snaps: c.files.snaps})
	if err != nil {
		return fmt.Errorf("the write-ahead log: %w", err)
	}
	c.log, c.logFault = a.Log, a.Damaged
	return nil
}

func (c *contents) readDB(ctx context.Context) error {
	info, err := snapshot.Inspect(ctx, c.files.db, snapshot.InspectOptions{Raw: true, SkipDigest: true})
	if errors.Is(err, snapshot.ErrDamaged) {
		c.dbDamage = err.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	a, err := ask(ctx, order{DB: filepath.Join(c.files.snapDir, "db")})
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	c.info, c.db, c.dbDamage = info, a.DB, a.Damaged
	return nil
}

// judge fills in the directory, and its findings: what keeps etcd from starting first.
func (c *contents) judge() {
	d := c.dir
	d.Size, d.DBSize = c.files.size, c.files.dbSize
	if i := c.info; i != nil {
		d.Revision, d.CompactRevision, d.LiveKeys, d.Hash = i.Revision, i.CompactRevision, i.LiveKeys, &i.Hash
		d.StorageVersion, d.ClusterVersion, d.ConsistentIndex = i.StorageVersion, i.ClusterVersion, i.ConsistentIndex
		d.FreeBytes = i.FreePages * int64(i.PageSize)
	}
	if c.db != nil {
		d.Members, d.Removed = c.db.Members, c.db.Removed
	}
	if l := c.log; l != nil {
		d.MemberID, d.ClusterID = l.MemberID, l.ClusterID
		d.Term, d.Commit, d.WALIndex, d.WALTerm, d.SnapshotIndex = l.Term, l.Commit, l.Last, l.LastTerm, l.Snapshot.Index
	}
	noted := d.Findings
	d.Findings = []Finding{}
	c.judgeUse()
	c.judgeDB()
	c.judgeLog()
	c.judgeTogether()
	c.judgeMembers()
	c.judgeV2()
	c.judgeSettings()
	d.Findings = append(d.Findings, noted...)
	slices.SortStableFunc(d.Findings, func(a, b Finding) int { return rank(a) - rank(b) })
}

// rank puts what is severe before what is not.
func rank(f Finding) int {
	if f.Severe {
		return 0
	}
	return 1
}

func (c *contents) note(code, advice, format string, args ...any) {
	c.dir.Findings = append(c.dir.Findings, Finding{Code: code, Detail: fmt.Sprintf(format, args...), Advice: advice})
}

func (c *contents) severe(code, advice, format string, args ...any) {
	c.dir.Findings = append(c.dir.Findings, Finding{Code: code, Detail: fmt.Sprintf(format, args...), Advice: advice, Severe: true})
}

func (c *contents) judgeUse() {
	if c.dir.InUse {
		c.note(InUse, "ask its endpoint, or stop that etcd and look again",
			"%s works on it: the database was not opened, so members, revision and content are not known, and what the log says is of one moment", c.dir.Holder)
	}
}

func (c *contents) judgeDB() {
	switch {
	case c.dbDamage != "":
		c.severe(DBDamaged, "do not start an etcd on it, and keep a copy: use another member's directory, or restore from a backup; if it is the only one left, `bbolt surgery` on a copy may save something",
			"member/snap/db: %s%s", c.dbDamage, c.emptied())
	case c.files.db != nil || !c.files.data || c.dir.InUse || c.has(WrongKind):
	case c.log != nil && c.log.Snapshot.Index == 0 && c.log.First == 1 && c.log.Fault == "" && c.log.Gap == nil:
		c.note(DBMissing, "keep a copy of the directory before an etcd is started on it; if the others have a quorum, rather have the member join anew",
			"member/snap/db is missing, but the log is whole from its first entry on: etcd makes the database anew from its %d entries", c.log.Last)
	default:
		c.severe(DBMissing, "do not start an etcd on it: use another member's directory, or restore from a backup",
			"member/snap/db is missing, and the log does not reach back to the beginning: nothing of what is older can be had from here")
	}
}

// emptied says where a database without any content comes from.
func (c *contents) emptied() string {
	if !strings.Contains(c.dbDamage, `no bucket "key"`) {
		return ""
	}
	return "; an etcd that is started after its database was deleted leaves such a one"
}

// has looks at what the survey of the files found.
func (c *contents) has(code string) bool {
	return slices.ContainsFunc(c.files.findings, func(f Finding) bool { return f.Code == code })
}

func (c *contents) judgeLog() {
	const another = "keep a copy, and use another member's directory; if there is none, restore from the database (lifeboat restore --raw) or from a backup"
	l := c.log
	switch {
	case c.logFault != "":
		c.severe(WALDamaged, another, "member/wal: %s", c.logFault)
		return
	case l == nil && len(c.files.segments) == 0 && (c.files.db != nil || len(c.files.snaps) > 0) && !c.has(WrongKind):
		c.severe(WALMissing, "if the log is kept elsewhere (--wal-dir), link it to member/wal of a copy and look again; else do not start an etcd on it: restore from the database (lifeboat restore --raw)",
			"there is no write-ahead log in member/wal: an etcd that is started on it takes itself for a new member beside an old database, and never takes a write")
		return
	case l == nil:
		return
	}
	if l.Fault != "" && !(c.dir.InUse && l.FaultLast) {
		c.severe(WALDamaged, another, "member/wal/%s: %s; the log is known up to entry %d", l.FaultIn, l.Fault, l.Last)
	}
	if l.Gap != nil {
		c.severe(WALGap, another, "the log has no entries between %d and %d", l.Gap.After, l.Gap.At)
	}
	if l.Torn != "" && !c.dir.InUse {
		c.note(WALTorn, "nothing: etcd cuts it off when it starts, and keeps what it cut off beside it as .broken",
			"%s: it was being written when the member died", l.Torn)
	}
	if len(l.BadSnaps) > 0 {
		c.badSnaps()
	}
}

// badSnaps is only a note where another raft snapshot, or none, does as well.
func (c *contents) badSnaps() {
	l := c.log
	detail := "cannot be read: " + strings.Join(l.BadSnaps, ", ")
	if l.Snapshot.Index == 0 || l.Snap != nil && l.Snap.Index == l.Snapshot.Index {
		c.note(SnapDamaged, "nothing: etcd renames it to .broken and takes the one that is whole", "%s; it is not needed", detail)
		return
	}
	c.severe(SnapDamaged, "have the member join anew if the others have a quorum; etcd 3.7 does not read these files and starts from the database",
		"%s: etcd 3.6 and older need it to start from entry %d of the log", detail, l.Snapshot.Index)
}

// judgeTogether compares the database with the log.
func (c *contents) judgeTogether() {
	l := c.log
	if l == nil {
		return
	}
	whole := l.Fault == "" && l.Gap == nil
	if whole && l.Commit > l.Last && !c.dir.InUse {
		c.severe(WALDamaged, "keep a copy, and use another member's directory; its last entries are gone",
			"the log ends at entry %d, and knew that %d was committed: etcd refuses to start on it", l.Last, l.Commit)
	}
	if c.info == nil {
		return
	}
	at := c.info.ConsistentIndex
	switch {
	case whole && at > l.Last:
		c.severe(DBAhead, "do not start an etcd on it: one of the two comes from another time or another member. Restore from the database (lifeboat restore --raw), or find the log that belongs to it",
			"the database has applied entry %d, the log ends at %d: an etcd that is started on it takes what comes next for applied already, and does not serve", at, l.Last)
	case at < l.Snapshot.Index && at != 0 && !c.sent(l.Snapshot.Index):
		c.severe(DBBehind, "do not start an etcd on it: the database is older than the log. Use another member's directory, or restore from a backup",
			"the database has applied entry %d, and the log begins behind the raft snapshot at %d: what lies between is in neither", at, l.Snapshot.Index)
	case at == 0 && l.Snapshot.Index > 0 && c.info.StorageVersion != "" && !c.sent(l.Snapshot.Index):
		c.severe(DBBehind, "do not start an etcd on it: the database was made anew. Use another member's directory, or restore from a backup",
			"the database has applied nothing, and the log begins behind the raft snapshot at %d", l.Snapshot.Index)
	}
}

// sent reports whether the database that a leader sent with a raft snapshot lies ready.
func (c *contents) sent(index uint64) bool {
	return slices.Contains(c.files.snapDBs, fmt.Sprintf("%016x.snap.db", index))
}

func (c *contents) judgeV2() {
	l := c.log
	if l == nil {
		return
	}
	if l.Unreadable.Count > 0 {
		c.severe(V2Leftovers, "before 3.7, let etcd 3.6 take a raft snapshot: start every member once with --snapshot-count 5, write 20 keys, and look again",
			"etcd 3.7 dies of %s in the log, in the form of etcd 2 (\"unmarshal should never fail\"); etcd 3.6 and older read it", l.Unreadable.text())
	}
	if l.Disallowed.Count > 0 {
		c.severe(V2Content, "before 3.6, remove what clients of etcd 2 have written, and let etcd 3.5 take a raft snapshot (--snapshot-count 5 and 20 writes)",
			"etcd 3.6 dies of %s in the log: a client of etcd 2 wrote it", l.Disallowed.text())
	}
	if l.Snap != nil && l.Snap.Custom {
		c.severe(V2Content, "before 3.6, remove it with etcd 3.5 and --enable-v2 (keys, and users and roles of the v2 API), and let it take a raft snapshot; if nothing needs it, etcd 3.6 starts with --v2-deprecation=write-only-skip-check",
			"member/snap/%s holds keys or users of etcd 2: etcd 3.6 refuses to start on it", l.Snap.Name)
	}
	if l.Snap != nil && l.Snap.Store != "" {
		c.severe(SnapDamaged, "use another member's directory: its checksum is right, so etcd itself wrote it so",
			"the content of member/snap/%s cannot be read: %s", l.Snap.Name, l.Snap.Store)
	}
}

func (c *contents) judgeSettings() {
	if c.db != nil && c.db.Downgrade != "" {
		c.note(Downgrade, "finish it, or cancel it with `etcdctl downgrade cancel`, before anything else", "a downgrade to etcd %s is under way", c.db.Downgrade)
	}
	if c.info == nil {
		return
	}
	for _, a := range c.info.Alarms {
		severe := strings.HasPrefix(a, "CORRUPT")
		advice := "make room (compact, defragment) or raise --quota-backend-bytes, then `etcdctl alarm disarm`; a restore clears it"
		if severe {
			advice = "do not use it as a source before its HashKV was compared with another member's"
		}
		c.dir.Findings = append(c.dir.Findings, Finding{Code: Alarm, Detail: "an alarm is raised: " + a, Advice: advice, Severe: severe})
	}
	if free := c.dir.FreeBytes; free >= fragmentedSize && float64(free) >= fragmentedPart*float64(c.dir.DBSize) {
		c.note(Fragmented, "`etcdctl defrag` gives it back, one member after the other; a restore does so by itself",
			"%d of the database's %d MiB are free", free>>20, c.dir.DBSize>>20)
	}
}
