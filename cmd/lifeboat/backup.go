package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
)

// defaultCluster is the name in the bucket of a cluster that was given none.
const defaultCluster = "default"

type backupFlags struct {
	flags
	spoolDir      string
	allowNoQuorum bool
	attest        bool
	stall         time.Duration
}

func newBackup(g *global) *cobra.Command { return (&backupFlags{}).command(g) }

func (f *backupFlags) command(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Take one backup, seal it, store it in every sink and read it back",
		Long: `Take a snapshot from the best of the given endpoints, seal it to the recipients, put it into every sink, read
it back from each, decrypt and compare, and only then commit it. The cluster is only read.

Where reading back costs too much, --read-back daily or checksum (read-back in the configuration, of each sink) has the
sealed file decrypted and compared here, and the store asked for the size and checksum of what it has taken. The manifest
records it, and for the floor of prune only backups count that were read back in full, or proven later.

A sink that cannot be used misses the backup, which is on record in the others: later runs copy what was missed into
it, as it is, at most three at a time and for a week; lifeboat copy does it at once. That this fails is a warning.

The heartbeat of the cluster in the configuration is sent at the end: success for exit 0, fail for any other but 130/143.

EXIT STATUS
  0 committed in every sink, 2 usage, 3 committed in some sinks only, or without quorum (--allow-no-quorum),
  4 etcd unreachable, unhealthy or forbidden, 5 no sink could be used, 7 what was read back is damaged,
  12 what a sink holds is not authentic, 130/143 interrupted, 1 anything else (the spool, for one)`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{onInterrupt: "no backup was committed, the cluster was only read"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := f.told(g, cmd, "backup", func() error { return f.run(g, cmd) })
			f.beat(g, cmd, err)
			return err
		},
	}
	f.events.register(cmd.Flags())
	f.register(cmd)
	cmd.Flags().StringVar(&f.readBack, "read-back", "", "how copies are proved before they count: `MODE` always (in full), daily (in full once a day and after a failure, else by the store's checksum) or checksum; "+
		"for all sinks (default: what the configuration says of each, else always)")
	return cmd
}

// register registers everything that a backup is taken by.
func (f *backupFlags) register(cmd *cobra.Command) {
	f.everywhere(cmd)
	f.etcd(cmd)
	f.storage(cmd)
	f.sealing(cmd)
	f.trusting(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.spoolDir, "spool-dir", os.TempDir(), "`DIR` with room for the database and its sealed file; both are unlinked as soon as they are open")
	fl.BoolVar(&f.allowNoQuorum, "allow-no-quorum", false, "take what a member has although no quorum vouches for it (exit 3)")
	fl.BoolVar(&f.attest, "attest", false, "compare with every member's live HashKV, which stops its writes meanwhile")
	fl.DurationVar(&f.stall, "stall", 30*time.Second, "give up a member that sends less than 64 KiB in this time")
}

func (f *backupFlags) run(g *global, cmd *cobra.Command) error {
	collectEarly()
	ctx := cmd.Context()
	o, err := f.complete(g, cmd)
	if err != nil {
		return err
	}
	r, err := takeBackup(ctx, g, o)
	if err != nil {
		return err
	}
	f.found.backup(r)
	if err := f.print(g, r); err != nil {
		return err
	}
	return shortfall(g, r)
}

// shortfall tells what is not as it should be about a committed backup; its error is what keeps it from being done in full.
func shortfall(g *global, r *backup.Result) error {
	g.tellSuspect(r)
	g.tellRecipientsChanged(r)
	return cmp.Or(missing(r), unvouched(r))
}

// takeBackup takes a backup and shows how far it is.
func takeBackup(ctx context.Context, g *global, o backup.Options) (*backup.Result, error) {
	bar := newProgress(g.err)
	defer bar.done()
	o.Log = g.loggerTo(bar)
	o.Progress = func(p backup.Phase, done, total int64) { bar.at(string(p), done, total) }
	return backup.Run(ctx, o)
}

// complete is all that a backup needs, as the flags and the configuration say it.
func (f *backupFlags) complete(g *global, cmd *cobra.Command) (backup.Options, error) {
	b, err := f.bucket(cmd.Context(), g, cmd)
	if err != nil {
		return backup.Options{}, err
	}
	return f.options(g, b)
}

// options turns flags and configuration into what package backup takes. Everything that can be wrong is found before etcd is asked.
func (f *backupFlags) options(g *global, b *bucket) (backup.Options, error) {
	from, err := f.source()
	if err != nil {
		return backup.Options{}, err
	}
	to, err := f.recipients(g.streams)
	if err != nil {
		return backup.Options{}, err
	}
	signers, err := f.signers(b.trust)
	if err != nil {
		return backup.Options{}, err
	}
	if b.trust.Verifiers != nil && len(signers) == 0 {
		return backup.Options{}, &usageError{
			"keys are trusted, so a backup that nobody signs would be refused wherever they are",
			"give --signing-key-file, whose public key is one of " + f.trustedKeysFile + "; or leave --trusted-keys-file out",
		}
	}
	cluster := f.cluster
	if cluster == "" {
		cluster = defaultCluster
	}
	if err := catalog.CheckCluster(cluster); err != nil {
		return backup.Options{}, &usageError{fmt.Sprintf("--cluster: %v", err), "use letters, digits, dots, dashes and underscores"}
	}
	return backup.Options{
		Cluster: cluster, Etcd: from, Sinks: b.sinks, ReadBack: b.readBack, Recipients: to, Plain: f.encryption == "none",
		Signers: signers, Trust: b.trust, SpoolDir: f.spoolDir, AllowNoQuorum: f.allowNoQuorum, Attest: f.attest, Stall: f.stall,
		Tool: version, Now: g.now,
	}, nil
}

// takenBackup is `backup -o json`: the manifest, and what became of it in each sink.
type takenBackup struct {
	catalog.Manifest
	Deliveries []deliveryJSON     `json:"deliveries"`
	Repaired   []repairJSON       `json:"repaired,omitempty"`
	Seconds    map[string]float64 `json:"seconds"` // by phase
	Timings    []timingJSON       `json:"timings"`
}

// timingJSON is a phase. They overlap: inspection and upload go on side by side.
type timingJSON struct {
	Phase        backup.Phase `json:"phase"`
	BeganSeconds float64      `json:"began_seconds"` // after the beginning of the run
	Seconds      float64      `json:"seconds"`
}

type deliveryJSON struct {
	Sink     string `json:"sink"`
	OK       bool   `json:"ok"`
	ReadBack string `json:"read_back,omitempty"` // full or checksum
	Error    string `json:"error,omitempty"`
}

// repairJSON is an earlier backup that a sink had missed.
type repairJSON struct {
	ID    catalog.ID `json:"id"`
	Sink  string     `json:"sink"`
	OK    bool       `json:"ok"`
	Error string     `json:"error,omitempty"`
}

func (f *backupFlags) print(g *global, r *backup.Result) error {
	if f.output == "json" {
		out := takenBackup{Manifest: r.Manifest, Seconds: map[string]float64{}}
		for _, d := range r.Sinks {
			j := deliveryJSON{Sink: d.Sink, OK: d.Err == nil}
			switch {
			case d.Err != nil:
				j.Error = d.Err.Error()
			case d.Full:
				j.ReadBack = "full"
			default:
				j.ReadBack = "checksum"
			}
			out.Deliveries = append(out.Deliveries, j)
		}
		for _, p := range r.Repaired {
			j := repairJSON{ID: p.ID, Sink: p.Sink, OK: p.Err == nil}
			if p.Err != nil {
				j.Error = oneLine(p.Err.Error())
			}
			out.Repaired = append(out.Repaired, j)
		}
		for _, p := range r.Phases {
			out.Seconds[string(p.Phase)] += p.Took.Seconds()
			out.Timings = append(out.Timings, timingJSON{p.Phase, p.Began.Seconds(), p.Took.Seconds()})
		}
		return g.printJSON(out)
	}
	m := r.Manifest
	var took []string
	for _, p := range r.Phases {
		took = append(took, fmt.Sprintf("%s %s", p.Phase, p.Took.Round(time.Millisecond)))
	}
	from := m.Source.MemberName
	if len(m.HashKV.Members) > 0 {
		from += ", compared with live " + strings.Join(m.HashKV.Members, ", ")
	}
	byChecksum := ""
	if n := len(slices.DeleteFunc(slices.Clone(r.Sinks), func(d backup.Delivery) bool { return d.Err != nil || d.Full })); n > 0 {
		byChecksum = fmt.Sprintf(" (%d compared by checksum)", n)
	}
	_, err := fmt.Fprintf(g.out, "%s\n  revision %d, %d keys, HashKV %d, from %s\n  database %s, stored %s, in %d of %d sinks%s\n  %s\n",
		m.ID, m.Revision, m.LiveKeys, m.HashKV.Hash, from,
		bytesText(m.Plain.Size), bytesText(m.Sealed.Size), len(r.Sinks)-len(r.Failed()), len(r.Sinks), byChecksum, strings.Join(took, ", "))
	for _, p := range r.Repaired {
		if p.Err == nil && err == nil {
			_, err = fmt.Fprintf(g.out, "  %s, which %s had missed, is there now\n", p.ID, p.Sink)
		}
	}
	return err
}

// tellSuspect warns of a backup that does not continue its cluster's history.
func (g *global) tellSuspect(r *backup.Result) {
	if len(r.Suspect) > 0 {
		g.warnf("this backup is suspect: %s; `latest` passes it over and goes on meaning an older one", strings.Join(r.Suspect, "; "))
		fmt.Fprintf(g.err, "lifeboat: hint: %s\n", ifMeant(r.Manifest.ID))
	}
}

// ifMeant is what a person does about a suspect backup.
func ifMeant(id catalog.ID) string {
	return fmt.Sprintf("if the change was meant (a restore, a rebuilt cluster): lifeboat accept %s; if another cluster is meant, give it a --cluster name of its own", id)
}

// tellRecipientsChanged warns of a backup that others than before can open.
func (g *global) tellRecipientsChanged(r *backup.Result) {
	if c := r.Manifest.RecipientsChanged; c != nil {
		g.warnf("backups are sealed to other recipients than before, since %s: %s", c.Since, recipientsText(c.Before, r.Manifest.Sealed.Fingerprints))
		fmt.Fprintf(g.err, "lifeboat: hint: if that was meant (a rotation of keys): lifeboat accept %s; if not, somebody has changed the recipients file of this host\n", r.Manifest.ID)
	}
}

// missing is the error of a committed backup that some of the sinks have not got.
func missing(r *backup.Result) error {
	failed := r.Failed()
	if len(failed) == 0 {
		return nil
	}
	var texts []string
	var causes []error
	for _, d := range failed {
		texts, causes = append(texts, d.Err.Error()), append(causes, d.Err)
	}
	return &partlyDone{
		fmt.Sprintf("the backup is missing in %d of %d sinks: %s", len(failed), len(r.Sinks), strings.Join(texts, "; ")),
		"what is committed elsewhere is whole; mend the sink, and the next backup makes up for this one", causes,
	}
}

// unvouched is the error of a committed backup that no quorum vouches for.
func unvouched(r *backup.Result) error {
	if r.Manifest.Quorum {
		return nil
	}
	return &partlyDone{
		"the backup was taken without quorum: acknowledged writes may be missing from it",
		"replace it by another as soon as the cluster has a quorum again", nil,
	}
}
