package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/internal/shell"
	"github.com/lifeboat-dr/lifeboat/restore"
)

type restoreFlags struct {
	planFlags
	out, dataDir, member, initialCluster string
	like                                 string
	snapshotOut, runbook                 string
	moveAside                            bool
	attempt                              int
	noBump, dryRun, ignoreRunning        bool
}

func newRestore(g *global) *cobra.Command {
	f := &restoreFlags{}
	cmd := &cobra.Command{
		Use:   "restore BACKUP (--out DIR | --member NAME --data-dir DIR | --like FILE | --snapshot-out FILE)",
		Short: "Make the data directory of every member, or of one, from a backup",
		Long: `Make member data directories from BACKUP: an id, latest, latest-verified (the newest that a deep verification or
a rehearsal has proved), before:TIME, or a local snapshot file. The plan is printed first; --dry-run stops there.
Existing directories are never touched, but for the new name that --move-aside gives them; nothing is fetched before
every refusal was considered, and a directory appears only when it is complete.

--out DIR makes DIR/<member> for every member in one run. --member NAME --data-dir DIR makes one, on its own node;
give the same exact backup id, members and --attempt on every node, as the printed commands do. --like FILE reads
name, addresses, data directory and quota of this node's member from the file that starts it: a static pod manifest,
a configuration file of etcd, or a systemd unit. Who the other members are is never read from it.

--snapshot-out FILE makes no directory but the plain snapshot, checked and exactly as etcd sent it, for those who
restore by themselves: k3s, Talos, etcdutl. An existing file is never overwritten.

--runbook KIND makes nothing, and prints the steps for this cluster, where it runs on kubeadm, systemd, k3s or talos.

If the cluster still has quorum, replace the failed member instead. Stop every API server before starting members.

EXIT STATUS
  0 restored, 2 usage, 5 no sink could be used, 6 no such backup, 7 damaged, 8 no identity opens it,
  9 refused for safety (the hint names the override, where there is one), 12 not authentic, 130/143 interrupted,
  1 anything else (a directory that cannot be written, for one)`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{onInterrupt: "no directory was made, what existed is untouched"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args[0]) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "`DIR` under which every member gets a directory of its name")
	fl.StringVar(&f.member, "member", "", "make only the directory of the member with this `NAME`")
	fl.StringVar(&f.dataDir, "data-dir", "", "with --member: the `DIR` to make")
	fl.StringVar(&f.like, "like", "", "make the member that this `FILE` starts: /etc/kubernetes/manifests/etcd.yaml, etcd.conf.yml, etcd.service")
	fl.StringVar(&f.snapshotOut, "snapshot-out", "", "write the plain snapshot into `FILE` (for k3s, Talos, etcdutl), and make no member")
	fl.StringVar(&f.runbook, "runbook", "", "print the steps of a restore of this cluster, as it is run by `KIND`: kubeadm, systemd, k3s or talos")
	fl.BoolVar(&f.moveAside, "move-aside", false, "rename a data directory that exists to DIR.before-BACKUP, once everything else has succeeded and if no etcd uses it")
	fl.StringVar(&f.initialCluster, "initial-cluster", "", "members of the new cluster as `NAME=PEER-URL,…` (default: those of the backup)")
	fl.IntVar(&f.attempt, "attempt", 1, "`N`th restore of this backup: raises the bump and changes the token, so that no member of an earlier attempt can join")
	fl.BoolVar(&f.noBump, "no-bump", false, "leave the revision as it is although the backup holds Kubernetes")
	fl.BoolVar(&f.ignoreRunning, "ignore-running-etcd", false, "begin although an etcd seems to be at work on the destination, whose directory is gone")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the plan and stop")
	fl.StringVar(&f.etcdVersion, "etcd-version", "", "`VERSION` of the etcd that will run on it, if older than the backup's")
	return cmd
}

func (f *restoreFlags) run(g *global, cmd *cobra.Command, asked string) error {
	collectEarly()
	ctx := cmd.Context()
	node, err := readLike(f.like)
	if err != nil {
		return err
	}
	plan, deps, err := f.plan(ctx, g, cmd, asked)
	if err != nil {
		return err
	}
	plan.Like, plan.MoveAside = node, f.moveAside
	plan.Out, plan.DataDir, plan.Only, plan.Attempt, plan.NoBump = f.out, f.dataDir, f.member, f.attempt, f.noBump
	plan.IgnoreRunning = f.ignoreRunning
	if f.attempt < 1 {
		return &usageError{fmt.Sprintf("--attempt %d counts no restore", f.attempt), "1 is the first, 2 the next"}
	}
	if f.initialCluster != "" {
		if plan.Members, err = restore.ParseMembers(f.initialCluster); err != nil {
			return err
		}
	}
	switch {
	case f.runbook != "":
		return f.book(g, cmd, plan, deps)
	case f.snapshotOut != "":
		return f.extract(g, cmd, plan, deps)
	}
	if err := plan.Check(ctx, g.now(), deps.Identities); err != nil {
		return err
	}
	if f.dryRun {
		if f.output == "json" {
			return g.printJSON(newPlanJSON(&plan))
		}
		return printPlan(g.out, g, &plan)
	}
	if err := printPlan(g.err, g, &plan); err != nil {
		return err
	}
	bar := newProgress(g.err)
	deps.Log = g.loggerTo(bar)
	deps.Progress = func(s restore.Step, done, total int64) { bar.at(string(s), done, total) }
	result, err := restore.Run(ctx, plan, deps)
	bar.done()
	if err != nil {
		return err
	}
	if f.output == "json" {
		return g.printJSON(newRestoredJSON(&plan, result))
	}
	return f.printResult(g, &plan, result)
}

// printPlan says what is about to be made, of what, and what will be different, before anything is fetched.
func printPlan(w io.Writer, g *global, p *restore.Plan) error {
	s := &p.Source
	var t strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&t, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	line("restore", "%s, revision %d, %d keys", s.Asked, s.Revision, s.LiveKeys)
	when, age := s.Taken.UTC().Format(time.RFC3339), agoText(g.now().Sub(s.Taken))
	if s.Entry != nil {
		line("taken", "%s, %s", when, age)
	} else {
		line("taken", "unknown; the file was last written %s, %s", when, age)
	}
	if s.Entry != nil {
		line("backup", "%s of cluster %s, signed by %s", s.ID, s.Entry.Cluster, signedBy(s.Entry.Sig))
		if about := remarks(*s.Entry); about != "" {
			line("remarks", "%s", about)
		}
	} else {
		line("file", "sha256 %s, signed by nobody", s.ID)
	}
	for _, m := range p.Members {
		made := "made elsewhere"
		if i := slices.IndexFunc(p.Dirs, func(d restore.Target) bool { return d.Member == m.Name }); i >= 0 {
			made = "→ " + p.Dirs[i].Dir
		}
		line("member", "%s at %s %s", m.Name, strings.Join(m.PeerURLs, ","), made)
	}
	for _, a := range p.Asides {
		line("aside", "%s becomes %s", a.Dir, a.To)
	}
	if p.Like != nil {
		line("like", "%s, a %s", p.Like.File, p.Like.Kind)
	}
	for _, n := range p.Attention {
		line("attention", "%s", n)
	}
	line("first", "stop every API server; and if the old cluster still has quorum, replace its failed member instead of restoring")
	line("token", "%s", p.Token)
	line("bump", "%d revisions", p.Bump)
	line("disk", "%s at most", bytesText(p.BytesNeeded))
	for _, d := range p.Differences {
		line("afterwards", "%s", d)
	}
	for _, u := range s.Unproven {
		line("not proven", "%s", u)
	}
	for _, n := range p.NotHeld {
		line("not held", "%s", n)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// printResult says what was made and how each member is started; for one member of several, what to run on the other nodes.
func (f *restoreFlags) printResult(g *global, p *restore.Plan, r *restore.Result) error {
	var t strings.Builder
	for _, m := range r.Members {
		fmt.Fprintf(&t, "restored %s\n  etcd %s\n", m.Dir, strings.Join(m.Flags, " \\\n    "))
	}
	if tls := strings.Contains(strings.Join(r.Members[0].Flags, " "), "https://"); tls {
		t.WriteString("  and the TLS flags of each member's unit: --cert-file --key-file --trusted-ca-file --client-cert-auth, and the same with --peer-\n")
	}
	for _, m := range p.Members {
		args, ok := r.Others[m.Name]
		if !ok {
			continue
		}
		fmt.Fprintf(&t, "on the node of %s\n  %s\n", m.Name, shell.Words(append([]string{"lifeboat", "restore"}, append(args, f.access()...)...)))
	}
	for _, a := range r.Asides {
		fmt.Fprintf(&t, "moved aside %s\n  to go back: stop etcd, mv %s %s, mv %s %s\n", a.To, shell.Words([]string{a.Dir}), shell.Words([]string{a.Dir + ".restored"}), shell.Words([]string{a.To}), shell.Words([]string{a.Dir}))
	}
	same := "equals the backup's"
	if p.Source.File != "" { // which is all that is known of it
		same = "is that of the file as it came; no manifest tells what the cluster held"
	}
	fmt.Fprintf(&t, "HashKV %d at revision %d, computed from what was written, %s\n", r.Hash.Hash, r.Hash.Revision, same)
	t.WriteString("next: start every member with these flags, then the API servers, then every controller; docs/runbooks has the steps\n")
	_, err := io.WriteString(g.out, t.String())
	return err
}
