package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/examine"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

// checkPart is the size of parts while checking, in bytes: the least that stores take, so that a check in parts moves little.
const checkPart = 5 << 20

type sinkCheckFlags struct {
	sinkFlags
	removerFile string
	parallel    int
}

func newSinkCheck(g *global) *cobra.Command {
	f := &sinkCheckFlags{}
	cmd := &cobra.Command{
		Use:   "check [URL …]",
		Short: "Hold a bucket or directory to what backups need of it",
		Long: `Put, read, list and delete objects under a fresh prefix (lifeboat-check/…) of the sink and see whether it keeps the
promises that Lifeboat relies on: some forty checks, among them writers that race for one name, uploads that break off, and
listings of more than a page. Then look at the bucket's settings and at what this credential may do. It moves some 250 MB.

What was put is removed again. A credential that cannot delete, which is what a backup should have, runs the checks that leave
little behind (about 5 MB in all), and what is left is named; give --remover-credentials-file to run all and leave nothing.

Each line has one of these results:
  ok       the promise is kept; the setting is good
  FAILED   the promise is broken: do not rely on this sink
  advice   it works, and something should be otherwise
  unknown  not tested, or the credential may not ask; never a failure

EXIT STATUS
  0 no promise is broken (whatever is advised), 2 usage, 5 a promise is broken, or the sink cannot be reached, listed or written,
  130/143 interrupted`,
		Annotations: map[string]string{onInterrupt: "what the checks had put was removed again, but for what is named above"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.beside(cmd)
	cmd.Flags().StringVar(&f.removerFile, "remover-credentials-file", "", "`FILE` with credentials that may delete, to remove with what the checks put")
	cmd.Flags().IntVar(&f.parallel, "parallel", 4, "`CHECKS` to run at once")
	return cmd
}

// sinkResultJSON is one line of `sink check -o json`.
type sinkResultJSON struct {
	Sink   string        `json:"sink"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Result examine.State `json:"result"`
	Detail string        `json:"detail"`
}

func (f *sinkCheckFlags) run(g *global, cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	places, err := f.places(cmd, args)
	if err != nil {
		return err
	}
	if f.parallel < 1 {
		return &usageError{fmt.Sprintf("--parallel %d is no count of checks", f.parallel), "give 1 or more"}
	}
	opened := make([]sinks.Sink, len(places))
	for i, p := range places { // all of them, before anything is written anywhere
		if opened[i], err = p.forChecks(ctx, g); err != nil {
			return err
		}
	}
	results, failed := []sinkResultJSON{}, []error{}
	for i, s := range opened {
		found, err := f.examine(ctx, g, s, places[i])
		results = append(results, found...)
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if len(results) > 0 {
		if err := f.print(g, results, len(opened) > 1); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// forChecks opens a place with small parts.
func (p sinkPlace) forChecks(ctx context.Context, g *global) (sinks.Sink, error) {
	o := p.options(g)
	o.PartSize = checkPart
	o.Log = nil // checks provoke what would be warned about
	return open.URL(ctx, p.url, o)
}

// examine puts one sink to the test, and says on stderr what stays in it.
func (f *sinkCheckFlags) examine(ctx context.Context, g *global, s sinks.Sink, p sinkPlace) ([]sinkResultJSON, error) {
	name := fmt.Sprint(s)
	bar := newProgress(g.err)
	defer bar.done()
	o := examine.Options{Parallel: f.parallel, Progress: func(done, total int, check string) { bar.count("check", done, total, check) }}
	if f.removerFile != "" {
		p.credentialsFile = f.removerFile
		remover, err := p.forChecks(ctx, g)
		if err != nil {
			return nil, err
		}
		o.Remover = remover
	}
	report, err := examine.Run(ctx, s, o)
	bar.done()
	if len(report.Left) > 0 {
		first := report.Left[0].Key
		g.warnf("%d objects (%s) stay in %s under %s: %s", len(report.Left), bytesText(report.LeftBytes()), name,
			strings.Join(strings.SplitN(first, "/", 3)[:2], "/")+"/", because(report.LeftWhy))
	} else if report.LeftWhy != nil {
		g.warnf("what the checks put in %s may not all be removed: %s", name, oneLine(report.LeftWhy.Error()))
	}
	if err != nil {
		return nil, err
	}
	var results []sinkResultJSON
	for _, r := range report.Results {
		results = append(results, sinkResultJSON{name, r.Kind, r.Name, r.State == examine.OK, r.State, oneLine(r.Detail)})
	}
	if broken := report.Failed(); len(broken) > 0 {
		err = &sinks.Error{
			Op: "check", Sink: name, Err: fmt.Errorf("%d promises are broken: %s", len(broken), strings.Join(broken, "; ")),
			Hint: "do not keep backups there: what is behind each promise is in docs/sinks.md",
		}
	}
	return results, err
}

// because is the reason in an error of a sink, without the object it happened to be about.
func because(err error) string {
	var e *sinks.Error
	if errors.As(err, &e) {
		return oneLine(e.Err.Error())
	}
	return oneLine(fmt.Sprint(err))
}

func (f *sinkCheckFlags) print(g *global, results []sinkResultJSON, several bool) error {
	if f.output == "json" {
		return g.printJSON(results)
	}
	rows := [][]string{{"RESULT", "CHECK", "DETAIL"}}
	sink := ""
	for _, r := range results {
		if several && r.Sink != sink {
			sink = r.Sink
			rows = append(rows, []string{"", sink, ""})
		}
		shown := string(r.Result)
		if r.Result == examine.Failed {
			shown = "FAILED"
		}
		rows = append(rows, []string{shown, r.Name, r.Detail})
	}
	return g.table(rows)
}
