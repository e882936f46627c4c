package main

import (
	"context"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// followed is how many rehearsals before this one are looked at.
const followed = 50

// follow compares the recovery with those before, by the reports in the sinks, and warns if it takes much longer than it did. That they
// cannot be read takes nothing from what was found out.
func follow(ctx context.Context, g *global, r *rehearsal.Report, ss []catalog.Named, t catalog.Trust) {
	past, err := catalog.Past(ctx, ss, r.Backup.Cluster, catalog.ReportRehearse, followed, t)
	if err != nil {
		g.warnf("the rehearsals before this one could not be read, so this recovery is compared with none: %v", err)
		return
	}
	for _, p := range past.Problems {
		g.warnf("the trend lacks what could not be read: %v", p)
	}
	if past.Ignored > 0 {
		g.warnf("the trend leaves out %d reports that no trusted key has signed", past.Ignored)
	}
	r.Follow(past)
	if t := r.Trend; t.Grown {
		g.warnf("recovery took %.1f s, %.1f times the %.1f s that it took before (median of %d); the database: %s before, %s now",
			r.RTOSeconds, r.RTOSeconds/max(t.MedianSeconds, 0.1), t.MedianSeconds, t.Compared, bytesText(t.MedianBytes()), bytesText(r.Backup.PlainBytes))
	}
}

// rehearsed is what of a rehearsal's report is left beside the backup.
func rehearsed(r *rehearsal.Report) catalog.Report {
	figures := &catalog.Rehearsal{Members: r.Members, RTOSeconds: r.RTOSeconds, PlainBytes: r.Backup.PlainBytes, Remedy: r.Remedy}
	for _, p := range r.Phases {
		figures.Phases = append(figures.Phases, catalog.RehearsalPhase(p))
	}
	for _, c := range r.Checks {
		figures.Checks = append(figures.Checks, catalog.RehearsalCheck{Name: c.Name, Etcd: c.Etcd, Result: string(c.Result)})
	}
	out := catalog.Report{
		Report: catalog.ReportRehearse, OK: r.Passed, OpenedWith: r.OpenedWith, EtcdVersions: r.EtcdVersions,
		TookSeconds: r.Finished.Sub(r.Started).Seconds(), Detail: r.Reason, Rehearsal: figures,
	}
	if r.Passed {
		out.Detail = fmt.Sprintf("%d members served and equalled the backup; recovery took %.1f s", r.Members, r.RTOSeconds)
	}
	return out
}
