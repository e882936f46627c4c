package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// defaultGrace leaves those who are ended after it time to clean up within the 30 s that Kubernetes gives.
const defaultGrace = 20 * time.Second

// service is `lifeboat run`: the jobs of all clusters of a configuration, in one process.
type service struct {
	g         *global
	events    events // of the ends of jobs
	config    string
	parallel  int
	grace     time.Duration
	dir       string // for rehearsals
	room      room
	scheduler *scheduler.Scheduler
}

func newRun(g *global) *cobra.Command {
	s := &service{g: g}
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Do the jobs of many clusters when their time comes: backup, verify, rehearse, prune",
		Long: `Do what the configuration schedules for each of its clusters until told to stop. A job is the command of its name, with
the configuration in place of its flags; it runs in this process. docs/service.md describes the keys.

Schedules are cron's, in the cluster's time zone (UTC unless it names one). Jobs of one cluster never run at the same
time: one whose time comes while another runs waits, and all it missed meanwhile is one run. At the start, and wherever
a job is late, the sinks are asked: if the newest success is older than the newest slot the job runs at once, and if not
it does not. A job that fails is logged, and is due again at its next slot; it ends nothing else.

Everything wrong in the configuration is found before anything is done, and all of it is told. SIGHUP reads it again; one
with a mistake is refused, and the old one goes on. SIGTERM and SIGINT begin nothing new, let what runs finish for
--grace, and then end it as if it had been sent the signal itself: nothing half-made is left. A second one ends all at once.

EXIT STATUS
  0 told to stop, and everything that ran had finished, 2 usage or a mistake in the configuration, 130/143 ended by
  SIGINT/SIGTERM, and jobs that were not done within --grace were given up, 1 anything else`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{onInterrupt: "jobs that were not done within --grace were given up, and left nothing half-made"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.events.find(); err != nil {
				return err
			}
			return s.run(cmd.Context())
		},
	}
	fl := cmd.Flags()
	s.events.register(fl)
	fl.StringVar(&s.config, "config", "", "configuration `FILE` (YAML)")
	fl.IntVar(&s.parallel, "parallel", 2, "run at most `N` jobs at the same time")
	fl.DurationVar(&s.grace, "grace", defaultGrace, "how long jobs that run may go on after SIGTERM or SIGINT")
	fl.StringVar(&s.dir, "dir", "", "`DIR` for the throwaway clusters of rehearsals (default: the system's temporary one)")
	fl.StringVar(&s.room.dir, "spool-dir", os.TempDir(), "`DIR` with room for the databases of backups that run at the same time, and their sealed files")
	fl.Var(&s.room.budget, "spool-budget", "how much of it backups and deep verifications may take together, a `SIZE` such as 20GiB (default: what is free there)")
	return cmd
}

func (s *service) run(ctx context.Context) error {
	switch {
	case s.config == "":
		return &usageError{"no configuration is given", "name the file with the clusters and their schedules: --config FILE"}
	case s.parallel < 1:
		return &usageError{fmt.Sprintf("--parallel %d would run nothing", s.parallel), "use 1 at least"}
	case s.grace < 0:
		return &usageError{fmt.Sprintf("--grace %s is negative", s.grace), "use a duration such as 20s"}
	}
	hangup := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP)          // which ends any other command
	signal.Notify(hangup, syscall.SIGHUP) // before the configuration is read: one that comes meanwhile must not end us
	defer signal.Stop(hangup)

	jobs, wrong, err := s.load(ctx)
	if err != nil {
		return err
	}
	for _, m := range wrong {
		s.g.errorf(m)
	}
	if len(wrong) > 0 {
		return &usageError{fmt.Sprintf("mistakes in configuration %s: %d; nothing was started", s.config, len(wrong)), "docs/service.md and docs/configuration.md describe every key"}
	}
	s.scheduler = scheduler.New(scheduler.Options{Parallel: s.parallel, Grace: s.grace, Observe: s.tell})
	running, stop := context.WithCancel(ctx)
	defer stop()
	go s.reloads(running, hangup)
	s.g.logger().Info("serving", "config", s.config, "jobs", len(jobs), "parallel", s.parallel)
	abandoned := s.scheduler.Run(ctx, jobs)
	if abandoned > 0 {
		return fmt.Errorf("%d jobs were given up", abandoned)
	}
	s.g.logger().Info("stopped; nothing was left running")
	return nil
}

// reloads reads the configuration again whenever it is told to.
func (s *service) reloads(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		jobs, wrong, err := s.load(ctx)
		if err != nil {
			wrong = []error{err}
		}
		for _, m := range wrong {
			s.g.logger().Error("mistake in the configuration", append([]any{"err", oneLine(m.Error())}, hintAttr(m)...)...)
		}
		if len(wrong) > 0 {
			s.g.logger().Error("the configuration was not taken, and the one from before goes on", "config", s.config, "mistakes", len(wrong))
			continue
		}
		s.scheduler.Replace(jobs)
		s.g.logger().Info("configuration taken", "config", s.config, "jobs", len(jobs))
	}
}

// load reads the configuration and makes jobs of it, or tells everything that is wrong with it.
func (s *service) load(ctx context.Context) (jobs []scheduler.Job, wrong []error, err error) {
	c, err := readConfig(s.config)
	switch {
	case c == nil:
		return nil, nil, err
	case err != nil: // it can be read, so the rest of what is wrong is told, too
		wrong = append(wrong, err)
	}
	c.stores.log = s.g.logger()
	for i := range c.Clusters {
		if err := c.Clusters[i].check(); err != nil {
			wrong = append(wrong, mistake{fmt.Sprintf("cluster %q", c.Clusters[i].Name), err})
		}
	}
	tasks := c.tasks()
	if len(tasks) == 0 {
		wrong = append(wrong, &usageError{"no cluster has a schedule", "give each a `schedule` for its backups, and `verify`, `rehearse` and `prune` blocks"})
	}
	exam := examination{service: s, file: c, told: map[string]int{}}
	for _, t := range tasks {
		j, err := t.scheduled()
		if err != nil {
			wrong = append(wrong, mistake{t.where(), err})
		}
		exam.take(ctx, t)
		jobs = append(jobs, s.job(j, c, t))
	}
	return jobs, append(wrong, exam.mistakes()...), nil
}

// job gives a scheduled job what it does.
func (s *service) job(j scheduler.Job, c *configFile, t task) scheduler.Job {
	g := s.forJob(t)
	j.Run = func(ctx context.Context) error {
		g.logger().Info("job begins")
		d := t.build(ctx, s, g, c, t.cluster)
		err := overdue(ctx, d.do())
		s.events.tell(ctx, g, eventOf(ctx, t.name, t.cluster.Name, d.flags.found, err))
		code := exitCode(ctx, err)
		if t.name == "backup" && code < 128 {
			t.cluster.Heartbeat.beat(ctx, g, code == exitDone)
		}
		if err == nil {
			return nil
		}
		return &ending{code, err}
	}
	if t.tells {
		j.Last = func(ctx context.Context) (time.Time, bool) {
			last, err := t.build(ctx, s, g, c, t.cluster).last(ctx, g)
			if err != nil {
				g.logger().Warn("no sink tells when this was done last, so it is done", "err", oneLine(err.Error()))
			}
			return last, err == nil
		}
	}
	return j
}

// ending is how a job ended that did not simply succeed.
type ending struct {
	code int // the exit status its command would have had
	err  error
}

func (e *ending) Error() string { return e.err.Error() }
func (e *ending) Unwrap() error { return e.err }

// overdue puts its timeout in front of what broke in a job because of that.
func overdue(ctx context.Context, err error) error {
	var late *scheduler.TimeoutError
	if err != nil && errors.As(context.Cause(ctx), &late) {
		return fmt.Errorf("%w, which is its timeout in the configuration: %w", late, err)
	}
	return err
}

// tell logs the end of a job's turn.
func (s *service) tell(e scheduler.Event) {
	log := s.g.logger().With("cluster", e.Cluster, "job", e.Job)
	if e.Fresh {
		log.Info("job not needed: what it is for is in the sinks", "next", nextText(e.Next))
		return
	}
	code := exitDone
	if e.Err != nil {
		code = exitUnexpected
	}
	var how *ending
	if errors.As(e.Err, &how) {
		code = how.code
	}
	about := []any{"outcome", meaningOf(code), "code", code, "took", e.Took.Round(time.Millisecond), "waited", e.Waited.Round(time.Second), "next", nextText(e.Next)}
	switch {
	case e.Err == nil:
		log.Info("job done", about...)
	case code == exitPartly:
		log.Warn("job partly done", append(append(about, "err", oneLine(e.Err.Error())), hintAttr(e.Err)...)...)
	default:
		log.Error("job failed", append(append(about, "err", oneLine(e.Err.Error())), hintAttr(e.Err)...)...)
	}
}

// hintAttr is the advice of an error as an attribute of a log line; none if there is none.
func hintAttr(err error) []any {
	hints := hintsOf(err)
	if len(hints) == 0 {
		return nil
	}
	return []any{"hint", strings.Join(hints, "; ")}
}

func nextText(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}
