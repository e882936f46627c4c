package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/backup/crosscheck"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// crossCheckedJSON is `verify --cross-check -o json`.
type crossCheckedJSON struct {
	OK      bool                   `json:"ok"`
	Detail  string                 `json:"detail"`
	Members []catalog.MemberResult `json:"members"`
	Left    []string               `json:"left"` // not compared, and why
}

// comparing is all that a comparison needs.
type comparing struct {
	b       *bucket
	from    snapshot.Config
	reports *reporter
}

// comparison finds everything that can be wrong before anybody is asked.
func (f *verifyFlags) comparison(ctx context.Context, g *global, cmd *cobra.Command) (comparing, error) {
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return comparing{}, err
	}
	from, err := f.source()
	if err != nil {
		return comparing{}, err
	}
	reports, err := f.reporter(&f.flags, g, b)
	return comparing{b, from, reports}, errors.Join(err, from.Check())
}

// crossCheck compares the members of the live cluster, and tells how they are.
func (f *verifyFlags) crossCheck(g *global, cmd *cobra.Command) error {
	result, err := f.compare(g, cmd)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = g.printJSON(crossCheckedJSON{result.OK, result.Detail, append([]catalog.MemberResult{}, result.Members...), append([]string{}, result.Left...)})
	} else {
		err = printCrossCheck(g, result)
	}
	if err != nil {
		return err
	}
	return result.Err()
}

// compare compares the members, and leaves the report beside the newest backup.
func (f *verifyFlags) compare(g *global, cmd *cobra.Command) (*crosscheck.Result, error) {
	ctx := cmd.Context()
	with, err := f.comparison(ctx, g, cmd)
	if err != nil {
		return nil, err
	}
	l, err := with.b.list(ctx, g.streams)
	if err != nil {
		return nil, err
	}
	o := crosscheck.Options{Etcd: with.from, SpoolDir: f.spoolDir, Reserve: f.reserve, Before: l.CrossCheck}
	if e, _, err := l.Resolve("latest", g.now()); err == nil {
		o.Newest = &e
	}
	bar := newProgress(g.err)
	o.Log = g.loggerTo(bar)
	o.Progress = func(done, total int64) { bar.at("save", done, total) }
	began := time.Now()
	result, err := crosscheck.Run(ctx, o)
	bar.done()
	if err != nil {
		return nil, err
	}
	if result.OK { // if not, its error says it
		f.found.add("%s", result.Detail)
	}
	if n := len(l.Entries); n > 0 {
		r := result.Report()
		r.TookSeconds = time.Since(began).Seconds()
		with.reports.write(ctx, l.Entries[n-1], r)
	} else {
		g.warnf("no report is left in the sinks: there is no backup yet that it could lie beside")
	}
	return result, nil
}

func printCrossCheck(g *global, r *crosscheck.Result) error {
	rows := [][]string{{"MEMBER", "ID", "RESULT"}}
	for _, m := range r.Members {
		result := m.Detail
		if !m.OK {
			result = "DIFFERENT: " + result
		}
		rows = append(rows, []string{m.Name, m.MemberID.String(), result})
	}
	for _, why := range r.Left {
		rows = append(rows, []string{"-", "-", "not compared: " + why})
	}
	return g.table(rows)
}
