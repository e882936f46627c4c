package main

import (
	"context"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// previewJSON is `run --check -o json`.
type previewJSON struct {
	OK       bool          `json:"ok"`
	Config   string        `json:"config"`
	Jobs     []plannedJSON `json:"jobs"`     // by when they begin the next time; none if there are mistakes
	Mistakes []mistakeJSON `json:"mistakes"` // all of them
}

type plannedJSON struct {
	Cluster  string    `json:"cluster"`
	Job      string    `json:"job"`
	Schedule string    `json:"schedule"`
	Timezone string    `json:"timezone"`
	Next     time.Time `json:"next"` // with its jitter
	Timeout  float64   `json:"timeout_seconds,omitempty"`
}

type mistakeJSON struct {
	Error string   `json:"error"`
	Hints []string `json:"hints"`
}

// preview looks at the configuration as run does, tells every mistake or what would be done, and does nothing.
func (s *service) preview(ctx context.Context) error {
	jobs, _, wrong, err := s.load(ctx)
	if err != nil {
		wrong = append(wrong, err)
	}
	p := previewJSON{OK: len(wrong) == 0, Config: s.config, Jobs: []plannedJSON{}, Mistakes: []mistakeJSON{}}
	for _, m := range wrong {
		p.Mistakes = append(p.Mistakes, mistakeJSON{oneLine(m.Error()), append([]string{}, hintsOf(m)...)})
	}
	if p.OK {
		p.Jobs = upcoming(jobs, s.g.now())
	}
	switch {
	case s.output == "json":
		err = s.g.printJSON(p)
	case p.OK:
		err = s.g.table(p.rows())
	}
	if err != nil {
		return err
	}
	return s.g.refuse(s.config, wrong)
}

// upcoming are jobs by when they begin the next time.
func upcoming(jobs []scheduler.Job, now time.Time) []plannedJSON {
	all := []plannedJSON{}
	for _, j := range jobs {
		all = append(all, plannedJSON{j.Cluster, j.Name, j.Schedule.Text(), j.Schedule.Zone(), j.Begins(now).UTC().Truncate(time.Second), j.Timeout.Seconds()})
	}
	slices.SortStableFunc(all, func(a, b plannedJSON) int { return a.Next.Compare(b.Next) })
	return all
}

func (p previewJSON) rows() [][]string {
	rows := [][]string{{"NEXT", "CLUSTER", "JOB", "SCHEDULE", "TIME ZONE", "TIMEOUT"}}
	for _, j := range p.Jobs {
		limit := "-"
		if j.Timeout > 0 {
			limit = time.Duration(j.Timeout * float64(time.Second)).String()
		}
		rows = append(rows, []string{nextText(j.Next), j.Cluster, j.Job, j.Schedule, j.Timezone, limit})
	}
	return rows
}
