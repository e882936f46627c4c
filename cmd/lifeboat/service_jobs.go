package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
)

// A duty is what a job does: the command of its name, with the configuration in place of flags, in this process.
type duty struct {
	flags *flags
	cmd   *cobra.Command

	check func() error // finds everything that can be wrong before anybody is asked for anything, and tells all of it
	do    func() error

	// evidence is when the newest success that a backup tells of began; zero for none. Nil where nothing in a sink tells of it.
	evidence func(catalog.Entry) time.Time
}

// A builder makes the duty of a cluster. It is made anew for every run, as a process would be: renewed certificates and keys count at the next one. Only
// the stores stay open, until the configuration is read again; they renew their credentials themselves.
type builder func(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty

// settled gives the flags of a command what stands in the configuration in their place.
func (s *service) settled(ctx context.Context, f *flags, cmd *cobra.Command, c *configFile, k *clusterConfig) {
	f.config, f.read, f.cluster, f.unattended, f.opened = s.config, c, k.Name, true, &c.stores
	cmd.SetContext(ctx)
}

func backupJob(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty {
	f := &backupFlags{}
	cmd := f.command(g)
	s.settled(ctx, &f.flags, cmd, c, k)
	f.spoolDir = s.room.dir
	return duty{
		flags: &f.flags, cmd: cmd,
		check: func() error {
			_, all := f.complete(g, cmd)
			_, to := f.recipients(g.streams)
			_, by := f.signers(catalog.Trust{})
			return errors.Join(all, to, by, f.checkEtcd())
		},
		do: func() error {
			o, err := f.complete(g, cmd)
			if err != nil {
				return err
			}
			o.Log, o.Reserve = g.logger(), s.room.reserve
			r, err := backup.Run(ctx, o)
			if err != nil {
				return err
			}
			m := r.Manifest
			o.Log.Info("committed", "id", m.ID, "revision", m.Revision, "bytes", m.Sealed.Size, "sinks", len(r.Sinks)-len(r.Failed()), "of", len(r.Sinks))
			return shortfall(g, r)
		},
		evidence: func(e catalog.Entry) time.Time { return e.Started },
	}
}

// checkEtcd looks at the files and addresses of the members, which options does not.
func (f *backupFlags) checkEtcd() error {
	from, err := f.source()
	if err != nil {
		return err
	}
	return from.Check()
}

// checkKeys looks whether there are keys where backups are to be opened.
func (f *flags) checkKeys(ctx context.Context, g *global, opens bool) error {
	switch {
	case !opens:
		return nil
	case len(f.identities) == 0 && f.encryption != "none":
		return &usageError{"backups are sealed, and no identity is given that opens them", "name its file under `encryption: {identity: […]}`, or do this where it may lie"}
	}
	_, err := f.keys(ctx, g.streams)
	return err
}

func verifyingJob(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty {
	f := &verifyFlags{}
	cmd := f.command(g)
	s.settled(ctx, &f.flags, cmd, c, k)
	f.spoolDir, f.reserve = s.room.dir, s.room.reserve
	f.sample, f.all = k.Verify.Sample, k.Verify.Sample != ""
	f.deep = c.verifiesDeep(k)
	return duty{
		flags: &f.flags, cmd: cmd,
		check: func() error {
			_, share := f.share(nil)
			_, _, all := f.prepare(ctx, g, cmd)
			return errors.Join(share, all, f.checkKeys(ctx, g, f.deep))
		},
		do: func() error {
			v, results, err := f.look(g, cmd, nil)
			if err != nil {
				return err
			}
			whole := 0
			for _, r := range results {
				switch {
				case r.err != nil:
					g.logger().Error("not as it should be", "id", r.ID, "sink", r.Sink, "err", r.Error)
				case !r.Absent:
					whole++
				}
			}
			g.logger().Info("verified", "copies", whole, "deep", f.deep)
			return v.verdict(ctx, results)
		},
		evidence: newest(catalog.ReportVerify, func(r catalog.Report) bool { return r.OK && (r.Deep || !f.deep) }),
	}
}

func crossCheckingJob(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty {
	f := &verifyFlags{}
	cmd := f.command(g)
	s.settled(ctx, &f.flags, cmd, c, k)
	f.cross, f.spoolDir, f.reserve = true, s.room.dir, s.room.reserve
	return duty{
		flags: &f.flags, cmd: cmd,
		check: func() error {
			_, all := f.comparison(ctx, g, cmd)
			return all
		},
		do: func() error {
			r, err := f.compare(g, cmd)
			if err != nil {
				return err
			}
			g.logger().Info("compared", "members", len(r.Members), "left", len(r.Left), "detail", r.Detail)
			return r.Err()
		},
		evidence: newest(catalog.ReportCrossCheck, func(r catalog.Report) bool { return r.OK }),
	}
}

func rehearsalJob(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty {
	f := &rehearseFlags{}
	cmd := f.command(g)
	s.settled(ctx, &f.flags, cmd, c, k)
	f.dir, f.maxAge, f.etcdBinaries = s.dir, k.Rehearse.MaxAge, k.Rehearse.Etcd
	if k.Rehearse.Members != nil {
		f.members = *k.Rehearse.Members
	}
	return duty{
		flags: &f.flags, cmd: cmd,
		check: func() error {
			b, all := f.bucket(ctx, g, cmd)
			if all == nil {
				_, all = f.reporter(&f.flags, g, b)
			}
			return errors.Join(f.checkNumbers(), findBinaries(f.etcdBinaries), all, f.checkKeys(ctx, g, true))
		},
		do:       func() error { return f.run(g, cmd, "latest") },
		evidence: newest(catalog.ReportRehearse, func(r catalog.Report) bool { return r.OK }),
	}
}

func pruningJob(ctx context.Context, s *service, g *global, c *configFile, k *clusterConfig) duty {
	f := &pruneFlags{}
	cmd := f.command(g)
	s.settled(ctx, &f.flags, cmd, c, k)
	f.apply = true
	return duty{
		flags: &f.flags, cmd: cmd,
		check: func() error {
			_, all := f.bucket(ctx, g, cmd)
			return errors.Join(all, f.rules(cmd))
		},
		do: func() error { return f.run(g, cmd) },
	}
}

// newest finds when the newest run began that left a report of its success.
func newest(kind catalog.ReportKind, counts func(catalog.Report) bool) func(catalog.Entry) time.Time {
	return func(e catalog.Entry) (at time.Time) {
		for _, r := range e.Reports {
			if began := r.Time.Add(-time.Duration(r.TookSeconds * float64(time.Second))); r.Report == kind && counts(r) && began.After(at) {
				at = began
			}
		}
		return at
	}
}

// last is when the newest success of a duty began, as the sinks tell it. One of a later time than now is a wrong clock's and does not count.
func (d duty) last(ctx context.Context, g *global) (time.Time, error) {
	b, err := d.flags.bucket(ctx, g, d.cmd)
	if err != nil {
		return time.Time{}, err
	}
	l, err := catalog.List(ctx, b.sinks, b.cluster, b.trust)
	if err != nil {
		return time.Time{}, err
	}
	entries := l.Entries
	if l.CrossCheck != nil { // it is of the cluster, and of no backup
		entries = append(entries, catalog.Entry{Reports: []catalog.Report{*l.CrossCheck}})
	}
	var last time.Time
	for _, e := range entries {
		if at := d.evidence(e); at.After(last) && !at.After(g.now()) {
			last = at
		}
	}
	return last, nil
}
