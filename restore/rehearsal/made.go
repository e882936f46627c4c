package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const dirMode = 0o700

// made are the data directories of one restore, and the members that will run on them.
type made struct {
	dir    string
	result *restore.Result
	nodes  []*throwaway.Node
}

// make restores the backup into a folder of its own, for a cluster on loopback without authentication. A backup that is
// damaged is a failure; every other error means that it could not be tested.
func (r *run) make(ctx context.Context, folder string, noBump bool) (*made, error) {
	held, err := throwaway.Hold(2*r.o.Members + 1) // the last is for a kube-apiserver
	if err != nil {
		return nil, err
	}
	r.held = held
	m := &made{dir: filepath.Join(r.dir, folder)}
	plan := r.o.Plan
	plan.Only, plan.DataDir, plan.Out, plan.Members = "", "", filepath.Join(m.dir, "members"), nil
	plan.RoomAdvice = "make room, or give a directory on another disk with --dir"
	if r.o.Members > 1 {
		plan.RoomAdvice += ", or have fewer --members"
	}
	plan.NoBump, plan.DropAuth, plan.CountKeys = noBump, true, true
	if plan.EtcdVersion == "" {
		plan.EtcdVersion = r.servers[0].version
	}
	for i := range r.o.Members {
		n := &throwaway.Node{
			Name: fmt.Sprintf("rehearsal-%d", i+1), ClientURL: held.URL(2 * i), PeerURL: held.URL(2*i + 1),
		}
		n.DataDir = filepath.Join(plan.Out, n.Name)
		n.LogFile = filepath.Join(m.dir, n.Name+".log")
		m.nodes = append(m.nodes, n)
		plan.Members = append(plan.Members, restore.Member{Name: n.Name, PeerURLs: []string{n.PeerURL}, ClientURLs: []string{n.ClientURL}})
	}
	if err := os.Mkdir(m.dir, dirMode); err != nil {
		return nil, err
	}
	if m.result, err = restore.Run(ctx, plan, r.deps); err != nil {
		return nil, err
	}
	for _, n := range m.nodes {
		n.QuotaBytes = max(minQuota, 2*m.result.Bytes)
	}
	return m, nil
}

// damagedBackup tells whether a restore failed because of the backup's bytes, everywhere: if a sink that could not be asked
// may have a whole copy, nothing is proved.
func damagedBackup(err error) bool {
	damaged := func(err error) bool {
		return errors.Is(err, crypto.ErrDamaged) || errors.Is(err, catalog.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged)
	}
	var none *restore.NoCopyError
	if errors.As(err, &none) {
		for _, c := range none.Copies {
			if !damaged(c.Err) {
				return false
			}
		}
	}
	return damaged(err)
}

// first makes the directories without the bump, which is the recovery that is timed, and learns what to compare with.
func (r *run) first(ctx context.Context) (*made, error) {
	m, err := r.make(ctx, "plain", true)
	if err != nil {
		if ctx.Err() != nil || !damagedBackup(err) {
			return nil, err
		}
		r.report.check(CheckRestore, "", Failed, "%s", err)
		return nil, failed("%s", err)
	}
	names := map[restore.Step]string{restore.StepFetch: "fetch", restore.StepOpen: "open", restore.StepInspect: "verify"}
	for _, t := range m.result.Timings {
		name, ok := names[t.Step]
		if !ok {
			name = "make-directories"
		}
		r.report.phase(name, "", t.Took, true)
	}
	src := m.result.Source
	r.report.OpenedWith = m.result.OpenedWith
	r.report.Backup = describe(src)
	r.want = src.Hash
	r.keys = countsOf(m.result.Info.LiveKeys, m.result.Info.Prefixes)
	r.timeout = r.o.Timeout
	if r.timeout == 0 {
		r.timeout = baseTimeout + perGiB(m.result.Bytes)
	}
	r.report.Comparison = append(r.report.Comparison, BackupRow(r.report.Backup.rowName(), src.Hash))
	r.report.check(CheckRestore, "", Passed, "%s", summary(m))
	return m, nil
}

// summary says in one line what was restored, and from where.
func summary(m *made) string {
	from := "the file"
	if m.result.Sink != "" {
		from = m.result.Sink
	}
	text := fmt.Sprintf("whole, from %s: digest, structure and HashKV are right; %s made", from, countOf(len(m.nodes), "member"))
	for _, c := range m.result.Skipped {
		text += fmt.Sprintf("; the copy in %s could not be used: %v", c.Sink, c.Err)
	}
	return text
}

// describe takes over what the source knows of itself.
func describe(s restore.Source) Backup {
	b := Backup{
		ID: s.ID, File: s.File, Revision: s.Revision, CompactRevision: s.Hash.CompactRevision,
		SourceVersion: s.ServerVersion, StorageVersion: s.StorageVersion, PlainBytes: s.Size, MembersCompared: []string{},
	}
	if s.Entry == nil {
		return b
	}
	b.Cluster, b.Taken, b.SealedBytes = s.Entry.Cluster, &s.Taken, s.Entry.Sealed.Size
	b.MembersCompared = append(b.MembersCompared, s.Entry.HashKV.Members...)
	b.Signed, b.SignedBy, b.Trusted = s.Entry.Sig.Signed, s.Entry.Sig.By, s.Entry.Sig.Trusted
	return b
}

// rowName is what the comparison calls the backup.
func (b Backup) rowName() string {
	if b.File != "" {
		return filepath.Base(b.File)
	}
	return "manifest"
}
