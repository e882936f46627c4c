package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/doctor"
)

type doctorFlags struct {
	flags
	newDir   string
	dataDirs []string
	version  string // of the etcd that is to be started on them
	maxAge   time.Duration
}

var versionShape = regexp.MustCompile(`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`)

func newDoctor(g *global) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at etcd and the backups, and say what to do: nothing, start, replace a member, or restore",
		Long: `Look at the endpoints and at what the sinks hold, and decide what to do, with the complete commands:

  every voting member serves             nothing to restore
  quorum holds without some              start them again; only if their data is lost, replace them
  quorum is lost                         start what is stopped; then what a survivor holds; then the newest backup
  none answers                           start what is stopped; then the newest backup
  something answers and shuts us out     nothing can be said: mend the access first

The ways out come in the order of what they lose. Beside that it tells what it finds: alarms, certificates that end,
clocks, versions with known defects, space, learners, and how well the cluster is backed up.

Nothing is done. The cluster is only read, and nobody is waited for without end. Members that were not among the
endpoints are asked where the cluster says they are. No key is opened: --identity is only for the printed commands.

EXIT STATUS
  0 every voting member serves, and no alarm or the like stands against it, whatever is found besides; or no endpoint
  was given, and there was nothing to ask, 2 usage,
  4 etcd needs a person: a member is down, quorum is lost, an alarm is raised, or nothing can be said of it,
  5 etcd is whole, and no sink could be read; what was decided is printed in every case`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(g, cmd) },
	}
	f.everywhere(cmd)
	f.etcd(cmd)
	f.storage(cmd)
	f.opening(cmd)
	f.trusting(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.newDir, "new-dir", "/var/lib/etcd-new", "`DIR` under which the printed commands make data directories; it is not touched now")
	fl.StringArrayVar(&f.dataDirs, "data-dir", nil, "look into the data directory `DIR` of a member, too, without changing it (repeatable)")
	fl.StringVar(&f.version, "etcd-version", "", "`VERSION` of the etcd that is to be started on those, such as 3.7: what keeps it from that is critical")
	fl.DurationVar(&f.maxAge, "max-age", 24*time.Hour, "tell of a newest backup that is older than this (0: of none)")
	return cmd
}

// ailing is a cluster that needs a person. What was decided is on stdout.
type ailing struct{ sentence string }

func (e *ailing) Error() string { return e.sentence }

func (f *doctorFlags) run(g *global, cmd *cobra.Command) error {
	if f.maxAge < 0 {
		return &usageError{fmt.Sprintf("--max-age %s is negative", f.maxAge), "use a duration such as 24h"}
	}
	places, unread, err := f.places(g, cmd)
	if err != nil {
		return err
	}
	facts, err := doctor.Look(cmd.Context(), places, g.now())
	if err != nil {
		return err
	}
	if places.Etcd == nil && places.Backups == nil && len(facts.Directories) == 0 { // a decision would rest on nothing
		var all []string
		for _, u := range facts.Unseen {
			all = append(all, u.Reason)
		}
		return &usageError{strings.Join(all, "; "), "give the directory that etcd's --data-dir names; is its volume mounted?"}
	}
	d := doctor.Decide(facts, doctor.Tools{
		Etcdctl: f.etcdctlFlags(), PasswordFile: absolute(f.passwordFile), Lifeboat: f.access(), Identity: len(f.identities) > 0, NewDir: places.NewDir,
	})
	if f.output == "json" {
		err = g.printJSON(newDoctorJSON(facts, d))
	} else {
		err = printDecision(g, facts, d)
	}
	switch {
	case err != nil:
		return err
	case facts.Etcd != nil && !d.Healthy():
		return &ailing{d.Sentence}
	}
	return *unread
}

// places are what is looked at. The error behind unread is there after that, if no sink could be read.
func (f *doctorFlags) places(g *global, cmd *cobra.Command) (doctor.Places, *error, error) {
	unread := new(error)
	sinks, err := f.settle(cmd)
	if err != nil {
		return doctor.Places{}, nil, err
	}
	if len(f.endpoints) == 0 && len(sinks) == 0 && len(f.dataDirs) == 0 {
		return doctor.Places{}, nil, &usageError{
			"there is nothing to look at: no etcd endpoint and no sink is given",
			"name the members with --endpoints https://10.0.0.5:2379,https://10.0.0.6:2379, and where backups live with --sink; or both in the file of --config",
		}
	}
	if f.version != "" && !versionShape.MatchString(f.version) {
		return doctor.Places{}, nil, &usageError{fmt.Sprintf("--etcd-version %q is no version", f.version), "write it as 3.7 or 3.7.3"}
	}
	if f.version != "" && len(f.dataDirs) == 0 {
		return doctor.Places{}, nil, &usageError{"--etcd-version is about data directories, and none is given", "name those that it is to be started on with --data-dir"}
	}
	p := doctor.Places{NewDir: absolute(f.newDir), Advise: func(err error) string { return strings.Join(hintsOf(err), "; ") }}
	if len(f.dataDirs) > 0 {
		p.Directories = doctor.LookInto(absolutes(f.dataDirs), f.version)
	}
	if len(f.endpoints) > 0 {
		from, err := f.source()
		if err != nil {
			return doctor.Places{}, nil, err
		}
		p.Etcd = &from
	}
	if len(sinks) > 0 {
		b, err := f.bucket(cmd.Context(), g, cmd)
		if err != nil && exitCode(cmd.Context(), err) == exitUsage {
			return doctor.Places{}, nil, err
		}
		p.Backups = func(ctx context.Context) (*doctor.Backups, error) {
			if err != nil {
				*unread = err
				return nil, err
			}
			var all *doctor.Backups
			all, *unread = f.backups(ctx, g, b)
			return all, *unread
		}
	}
	return p, unread, nil
}

// backups reads what the sinks hold, and judges it as status does.
func (f *doctorFlags) backups(ctx context.Context, g *global, b *bucket) (*doctor.Backups, error) {
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return nil, err
	}
	var veiled []catalog.Veiled
	if l.Cluster != "" {
		b.findPayloads(ctx, g.streams, &l)
		veiled = catalog.Hidden(ctx, b.sinks, l.Cluster)
	}
	all := &doctor.Backups{Listing: l, MaxAge: f.maxAge, Trust: b.trust}
	if e, err := l.Usable(g.now()); err == nil {
		all.Newest = &e
	}
	for i, s := 0, newStatusJSON(l, veiled, b, g.now()); i < len(s.Attention); i++ {
		severity := doctor.Warning
		if s.codes[i] == "none" {
			severity = doctor.Critical
		}
		all.Findings = append(all.Findings, doctor.Finding{
			Code: "backup-" + s.codes[i], Severity: severity, About: doctor.AboutBackups, Text: s.Attention[i], Advice: "`lifeboat status` tells more",
		})
	}
	return all, nil
}

// etcdctlFlags let etcdctl in as they let us in.
func (f *doctorFlags) etcdctlFlags() []string {
	var flags []string
	for _, file := range []struct{ flag, path string }{{"--cacert=", f.cacert}, {"--cert=", f.cert}, {"--key=", f.key}} {
		if file.path != "" {
			flags = append(flags, file.flag+absolute(file.path))
		}
	}
	if f.user != "" {
		flags = append(flags, "--user="+f.user)
	}
	return flags
}

func absolutes(paths []string) []string {
	var all []string
	for _, p := range paths {
		all = append(all, absolute(p))
	}
	return all
}
