package main

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// reporting are the flags of commands that leave a report beside the backups they looked at.
type reporting struct{ noReport bool }

func (r *reporting) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.noReport, "no-report", false, "leave no report of the outcome in the sinks")
}

// reporter writes reports. Reports are evidence beside the work: that one cannot be written is a warning, never a failure of the work.
type reporter struct {
	g       *global
	b       *bucket
	signers []note.Signer
	off     bool

	mu     sync.Mutex      // also of what is said
	closed map[string]bool // sinks that this credential may not write into
}

// reporter reads the signing key before any work is done: a bad one must not be found out after hours.
func (r *reporting) reporter(f *flags, g *global, b *bucket) (*reporter, error) {
	if r.noReport { // nothing is signed
		f.signingKeyFile = ""
	}
	signers, err := f.signers(b.trust)
	if err != nil {
		return nil, err
	}
	w := &reporter{g: g, b: b, signers: signers, off: r.noReport, closed: map[string]bool{}}
	if !w.off && b.trust.Verifiers != nil && len(signers) == 0 {
		w.off = true
		g.warnf("no report is left in the sinks: keys are trusted, so one without a signature would be ignored; give --signing-key-file, or --no-report")
	}
	return w, nil
}

// write leaves a report in every sink that holds the backup; where the process was stopped, in none.
func (w *reporter) write(ctx context.Context, e catalog.Entry, r catalog.Report) {
	if w.off || ctx.Err() != nil {
		return
	}
	r.ID, r.Cluster, r.Time, r.Tool = e.ID, e.Cluster, w.g.now(), version
	for _, s := range w.b.holding(e) {
		if w.isClosed(s.Name) {
			continue
		}
		if err := catalog.PutReport(ctx, s, r, w.signers...); err != nil {
			w.failed(s.Name, err)
		}
	}
}

func (w *reporter) isClosed(sink string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed[sink]
}

// failed warns, once where the credential is to blame. Several backups may be worked on at a time.
func (w *reporter) failed(sink string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !errors.Is(err, fs.ErrPermission):
		w.g.warnf("the report could not be written: %v", err)
	case !w.closed[sink]:
		w.closed[sink] = true
		w.g.warnf("no report is left in %s: this credential may not write there (--no-report says that this is meant): %v", sink, err)
	}
}
