package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// PhaseRepair brings into a sink what earlier runs could not; there is none where nothing is missing.
const PhaseRepair Phase = "repair"

const (
	// repairs is how many copies a run makes besides its own work, which must not be late for the next.
	repairs = 3
	// repairable is for how long a missed delivery is made up for. What is older is on its way out, or somebody has taken the sink out of
	// use for good; `copy` takes anything.
	repairable = 7 * 24 * time.Hour
)

// A Repair is what became of an earlier backup which a sink had missed.
type Repair struct {
	ID   catalog.ID
	Sink string
	Err  error // nil: it is there now
}

// record leaves a delivery report in the sinks that took this backup, if others did not: the next run finds it there.
func (r *runner) record(ctx context.Context) {
	report := catalog.Report{Report: catalog.ReportDelivery, OK: true}
	var took []catalog.Named
	for i, d := range r.deliveries {
		result := catalog.SinkResult{Sink: d.Sink, OK: d.Err == nil}
		if d.Err != nil {
			report.OK, result.Error = false, d.Err.Error()
		} else {
			took = append(took, r.Sinks[i])
		}
		report.Sinks = append(report.Sinks, result)
	}
	if !report.OK {
		report.Detail = fmt.Sprintf("delivered to %d of %d sinks", len(took), len(r.Sinks))
		r.file(ctx, r.manifest.ID, report, took)
	}
}

// file writes a report on a backup into sinks. That one cannot be written is a warning: the work it tells of is done.
func (r *runner) file(ctx context.Context, id catalog.ID, report catalog.Report, into []catalog.Named) {
	if r.Trust.Verifiers != nil && len(r.Signers) == 0 {
		r.Log.Warn("no delivery report is left, because keys are trusted and there is none to sign with", "id", id)
		return
	}
	report.ID, report.Cluster, report.Time, report.Tool = id, r.Cluster, r.Now().UTC(), r.Tool
	for _, s := range into {
		if err := catalog.PutReport(ctx, s, report, r.Signers...); err != nil {
			r.Log.Warn("the delivery report could not be written", "id", id, "sink", s.Name, "err", err)
		}
	}
}

// repair makes up for earlier deliveries, the newest first. It fails nothing: the backup of this run is committed.
func (r *runner) repair(ctx context.Context) {
	leave := func() {}
	defer func() { leave() }()
	began := false
	for _, e := range slices.Backward(r.before.Entries) {
		missed, report := r.missed(e)
		if len(missed) == 0 || ctx.Err() != nil {
			continue
		}
		if !began {
			began = true
			leave = r.times.enter(PhaseRepair)
		}
		changed := false
		for _, s := range missed {
			if !slices.Contains(e.Sinks, s.Name) {
				if len(r.repaired) == repairs {
					return
				}
				if !r.repairIn(ctx, e, s) {
					continue
				}
			} // else somebody has copied it
			changed = true
			for i := range report.Sinks {
				if report.Sinks[i].Sink == s.Name {
					report.Sinks[i] = catalog.SinkResult{Sink: s.Name, OK: true}
				}
			}
		}
		if !changed {
			continue
		}
		report.OK = !slices.ContainsFunc(report.Sinks, func(s catalog.SinkResult) bool { return !s.OK })
		report.Detail = "made up for by a later run"
		hold := slices.DeleteFunc(slices.Clone(r.Sinks), func(s catalog.Named) bool {
			return !slices.Contains(e.Sinks, s.Name) && !slices.ContainsFunc(r.repaired, func(p Repair) bool { return p.ID == e.ID && p.Sink == s.Name && p.Err == nil })
		})
		r.file(ctx, e.ID, report, hold)
	}
}

// missed are the sinks that the newest delivery report says a backup is not in, as far as this run has found them working, and the
// report. Only what a report says counts, not that a sink lacks it: it may have had the backup, and pruned it. What was made up for is
// reported as delivered, so that nothing comes back a second time, not even where a lock keeps it in another sink.
func (r *runner) missed(e catalog.Entry) (missed []catalog.Named, report catalog.Report) {
	report, ok := e.Last(catalog.ReportDelivery)
	if !ok || report.OK || e.Dispute() != nil || r.started.Sub(e.Started) > repairable {
		return nil, report
	}
	for i, s := range r.Sinks {
		works := r.deliveries[i].Err == nil && !slices.ContainsFunc(r.before.Problems, func(p *catalog.Problem) bool { return p.Sink == s.Name && p.Key == "" })
		said := slices.ContainsFunc(report.Sinks, func(x catalog.SinkResult) bool { return x.Sink == s.Name && !x.OK })
		if works && said {
			missed = append(missed, s)
		}
	}
	report.Sinks = slices.Clone(report.Sinks) // the caller changes them, and the listing keeps its own
	return missed, report
}

// repairIn copies a backup into a sink, through the spool that held our own.
func (r *runner) repairIn(ctx context.Context, e catalog.Entry, s catalog.Named) bool {
	from := slices.DeleteFunc(slices.Clone(r.Sinks), func(x catalog.Named) bool { return x.Name == s.Name })
	c := catalog.Copier{
		From: from, To: s, Trust: r.Trust, Room: r.sealed.File(),
		Progress: func(_ string, done, total int64) { r.progress(PhaseRepair)(done, total) },
	}
	began := time.Now()
	done, err := c.Copy(ctx, e)
	r.repaired = append(r.repaired, Repair{e.ID, s.Name, err})
	if err != nil {
		r.Log.Warn("an earlier backup is still missing in a sink", "id", e.ID, "sink", s.Name, "err", err)
		return false
	}
	if missing := errors.Join(done.Failed...); missing != nil {
		r.Log.Warn("an earlier backup was copied, but not all copies of it could be read", "id", e.ID, "err", missing)
	}
	r.Log.Info("an earlier backup was missing in a sink and is there now", "id", e.ID, "sink", s.Name, "bytes", e.Sealed.Size, "took", time.Since(began))
	return true
}
