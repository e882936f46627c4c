package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// watchTimeout is how long an answer to a watch is waited for, which comes at once.
const watchTimeout = 30 * time.Second

// restorePlain restores without the bump, which would compact the history that HashKV is computed over, and compares.
func (d *demo) restorePlain(ctx context.Context) error {
	s := d.story
	s.step("The restore, for comparison: every member from the bucket, revisions as they were")
	if _, err := d.restore(ctx, "compared", true); err != nil {
		return err
	}
	if d.Damage {
		n := d.cluster.Nodes[1]
		key, err := flipBit(n.DataDir)
		if err != nil {
			return fmt.Errorf("damage %s: %w", n.Name, err)
		}
		s.say("DAMAGE, as you asked: one bit of the value of %s in %s is flipped", key, n.Name)
	}
	took, err := d.serve(ctx)
	if err != nil {
		return err
	}
	m := d.backup.Manifest
	want := snapshot.Hash{Hash: m.HashKV.Hash, Revision: m.HashKV.Revision, CompactRevision: m.HashKV.CompactRevision}
	rows, _ := rehearsal.Compare(ctx, want, d.targets(rehearsal.RoleRestored))
	d.rows = append(d.rows, rows...)
	for _, r := range rows {
		switch {
		case r.Error != "":
			d.differs("restored member %s gives no HashKV: %s", r.Name, r.Error)
		case !r.Equal:
			d.differs("restored member %s has HashKV %d, the source had %d", r.Name, r.HashKV, want.Hash)
		}
	}
	s.say("started with the source's certificates: all serving after %s", took)
	if err := d.compareEveryKey(ctx, m.Revision); err != nil {
		return err
	}
	return d.halt()
}

// restoreBumped restores as one does it for Kubernetes: no client may take what it reads now for what it has seen before.
func (d *demo) restoreBumped(ctx context.Context) error {
	s := d.story
	s.step("The restore, for use: as above, and all that was ever read counts as past")
	result, err := d.restore(ctx, "restored", false)
	if err != nil {
		return err
	}
	took, err := d.serve(ctx)
	if err != nil {
		return err
	}
	s.say("all serving after %s, at revision %d instead of %d", took, result.Revision, d.backup.Manifest.Revision)
	if err := d.compareEveryKey(ctx, result.Revision); err != nil {
		return err
	}
	c := d.cluster.Nodes[0].Client
	told, err := toldToStartOver(ctx, c, d.backup.Manifest.Revision+1)
	if err != nil {
		return err
	}
	if !told {
		d.differs("a watch from before the restore is not told to start over")
	}
	put, err := c.Put(ctx, "/registry/configmaps/default/written-after-the-restore", "new")
	if err != nil {
		return err
	}
	if put.Header.Revision <= d.head {
		d.differs("a new write has revision %d, and the source had come to %d", put.Header.Revision, d.head)
	}
	s.say("a watch from before is told to start over; a new write has revision %d, the source had come to %d",
		put.Header.Revision, d.head)
	return d.halt()
}

// restore makes the directories of all members from the newest backup, and puts them in the place of those that were lost.
func (d *demo) restore(ctx context.Context, folder string, noBump bool) (*restore.Result, error) {
	s := d.story
	flag := ""
	if noBump {
		flag = " --no-bump"
	}
	s.command("lifeboat restore latest --out %s%s %s", folder, flag, d.access(true))
	source, sinks, err := d.latest(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	result, err := restore.Run(ctx, restore.Plan{
		Source: source, Out: d.path(folder), NoBump: noBump, Trust: d.keys.trust, Head: d.head,
	}, d.deps(sinks))
	if err != nil {
		return nil, err
	}
	d.cluster.Token = result.Token
	for _, n := range d.cluster.Nodes {
		i := slices.IndexFunc(result.Members, func(m restore.MemberResult) bool { return m.Name == n.Name })
		if i < 0 {
			return nil, fmt.Errorf("the restore made no member %s", n.Name)
		}
		n.DataDir, n.QuotaBytes = result.Members[i].Dir, result.Quota
		n.LogFile = d.path(folder + "-" + n.Name + ".log")
	}
	s.say("signed by %s, opened with key %s; %d directories in %s", strings.Join(source.Entry.Sig.By, ", "),
		result.OpenedWith, len(result.Members), seconds(time.Since(began)))
	return result, nil
}

// latest finds the newest backup in the bucket.
func (d *demo) latest(ctx context.Context) (restore.Source, []catalog.Named, error) {
	sinks, err := d.bucket()
	if err != nil {
		return restore.Source{}, nil, err
	}
	list, err := catalog.List(ctx, sinks, "", d.keys.trust)
	if err != nil {
		return restore.Source{}, nil, err
	}
	e, _, err := list.Resolve("latest", time.Now())
	if err != nil {
		return restore.Source{}, nil, err
	}
	return restore.FromBackup(e, "latest"), sinks, nil
}

// compareEveryKey reads every key of every restored member at a revision and compares it with the source's.
func (d *demo) compareEveryKey(ctx context.Context, rev int64) error {
	began := time.Now()
	different := 0
	for _, n := range d.cluster.Nodes {
		equal, difference, err := compareKeys(ctx, d.records, n.Client, rev)
		if err != nil {
			return fmt.Errorf("read every key of %s: %w", n.Name, err)
		}
		if difference != "" {
			different++
			d.differs("restored member %s has %s of %s keys as they were: %s", n.Name, grouped(int64(equal)), grouped(int64(len(d.records))), difference)
		}
	}
	if different > 0 {
		d.story.say("key by key: %d of %d members DIFFERENT from the source (took %s)", different, members, seconds(time.Since(began)))
		return nil
	}
	d.story.say("key by key: %d × %s keys equal in value, revisions, version and lease (took %s)", members, grouped(int64(len(d.records))), seconds(time.Since(began)))
	return nil
}

// halt stops the members for the next step.
func (d *demo) halt() error {
	for _, n := range d.cluster.Nodes {
		if err := n.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// toldToStartOver watches from a revision, and tells whether the answer is that it is compacted.
func toldToStartOver(ctx context.Context, c *clientv3.Client, rev int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	resp, ok := <-c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithRev(rev))
	if !ok {
		return false, errors.New("a watch was closed without an answer")
	}
	return resp.CompactRevision != 0, nil
}

// rehearse proves the backup a second time, as one does every night: on a cluster of its own that is thrown away.
func (d *demo) rehearse(ctx context.Context) error {
	s := d.story
	s.step("The rehearsal: what should run every night, so that the night above is no adventure")
	s.command("lifeboat rehearse latest %s", d.access(true))
	source, sinks, err := d.latest(ctx)
	if err != nil {
		return err
	}
	report, err := rehearsal.Run(ctx, rehearsal.Options{
		Plan: restore.Plan{Source: source, Trust: d.keys.trust}, Members: members, Dir: d.dir, Tool: d.Tool, Log: d.Log,
	}, d.deps(sinks))
	if err != nil {
		return err
	}
	var passed []string
	for _, c := range report.Checks {
		if c.Result == rehearsal.Passed {
			passed = append(passed, c.Name)
		}
	}
	for _, r := range report.Comparison {
		if r.Role == rehearsal.RoleRestored {
			d.rows = append(d.rows, r)
		}
	}
	if !report.Passed {
		d.differs("the rehearsal failed: %s", report.Reason)
		return nil
	}
	s.say("proven on %d members: %s", report.Members, strings.Join(passed, ", "))
	s.say("measured recovery time, from the first byte fetched until every member serves: %.1f s", report.RTOSeconds)
	return nil
}
