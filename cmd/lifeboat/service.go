package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
	check     bool
	output    string // of check
	parallel  int
	grace     time.Duration
	dir       string // for rehearsals
	room      room
	address   string // to serve metrics on; "" serves none
	scheduler *scheduler.Scheduler
	shown     *display
}

func newRun(g *global) *cobra.Command {
	s := &service{g: g}
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Do the jobs of many clusters when their time comes: backup, verify, cross-check, rehearse, prune",
		Long: `Do what the configuration schedules for each of its clusters until told to stop. A job is the command of its name, with
the configuration in place of its flags; it runs in this process. docs/service.md describes the keys.

Schedules are cron's, in the cluster's time zone (UTC unless it names one). Jobs of one cluster never run at the same
time: one whose time comes while another runs waits, and all it missed meanwhile is one run. At the start, and wherever
a job is late, the sinks are asked: if the newest success is older than the newest slot the job runs at once, and if not
it does not. A job that fails is logged; it ends nothing else. If etcd or a sink could not be used (exit
codes 4 and 5) it is tried again after a minute, two more, four more and so on, up to half of the way to its next slot.
Anything else is due again at that.

Everything wrong in the configuration is found before anything is done, and all of it is told; --check ends there, and
tells what would be done: neither etcd nor a bucket is asked. SIGHUP reads it again; one
with a mistake is refused, and the old one goes on. SIGTERM and SIGINT begin nothing new, let what runs finish for
--grace, and then end it as if it had been sent the signal itself: nothing half-made is left. A second one ends all at once.

EXIT STATUS
  0 told to stop, and everything that ran had finished (--check: no mistake), 2 usage or a mistake in the configuration, 130/143 ended by
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
	fl.BoolVar(&s.check, "check", false, "look at the configuration, tell every mistake or when each job begins the next time, and do nothing")
	fl.StringVarP(&s.output, "output", "o", "table", "`FORMAT` of what --check prints: table or json")
	fl.StringVar(&s.address, "listen", "", "serve metrics and probes on this `ADDRESS`, HOST:PORT or :PORT (default: nowhere)")
	fl.IntVar(&s.parallel, "parallel", 2, "run at most `N` jobs at the same time")
	fl.DurationVar(&s.grace, "grace", defaultGrace, "how long jobs that run may go on after SIGTERM or SIGINT")
	fl.StringVar(&s.dir, "dir", "", "`DIR` for the throwaway clusters of rehearsals (default: the system's temporary one)")
	fl.StringVar(&s.room.dir, "spool-dir", os.TempDir(), "`DIR` with room for the databases of backups that run at the same time, and their sealed files")
	fl.Var(&s.room.budget, "spool-budget", "how much of it backups, deep verifications and cross-checks may take together, a `SIZE` such as 20GiB (default: what is free there)")
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
	case s.output != "table" && s.output != "json":
		return &usageError{fmt.Sprintf("--output %q is not a format", s.output), "use table or json"}
	case s.output == "json" && !s.check:
		return &usageError{"--output json is for --check, and a service has no result", "leave it out; --log-format json is for its log"}
	}
	if s.address != "" {
		if err := checkListen(s.address); err != nil {
			return err
		}
	}
	if s.check {
		return s.preview(ctx)
	}
	hangup := hangups()
	defer signal.Stop(hangup)

	jobs, c, wrong, err := s.load(ctx)
	if err != nil {
		return err
	}
	if err := s.g.refuse(s.config, wrong); err != nil {
		return err
	}
	s.scheduler = scheduler.New(scheduler.Options{Parallel: s.parallel, Grace: s.grace, Observe: s.tell})
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // jobs that end are told of, too
	defer stop()
	shows, err := s.display(ctx, running)
	if err != nil {
		return err
	}
	shows.replace(c, jobs)
	go s.g.reloading(ctx, hangup, s.config, shows.reloads, func() ([]any, []error, error) {
		jobs, c, wrong, err := s.load(ctx)
		if err == nil && len(wrong) == 0 {
			shows.replace(c, jobs)
			s.scheduler.Replace(jobs)
		}
		return []any{"jobs", len(jobs)}, wrong, err
	})
	s.g.logger().Info("serving", "config", s.config, "jobs", len(jobs), "parallel", s.parallel)
	abandoned := s.scheduler.Run(ctx, jobs)
	if abandoned > 0 {
		return fmt.Errorf("%d jobs were given up", abandoned)
	}
	s.g.logger().Info("stopped; nothing was left running")
	return nil
}

// load reads the configuration and makes jobs of it, or tells everything that is wrong with it.
func (s *service) load(ctx context.Context) (jobs []scheduler.Job, c *configFile, wrong []error, err error) {
	c, err = readConfig(s.config)
	switch {
	case c == nil:
		return nil, nil, nil, err
	case err != nil: // it can be read, so the rest of what is wrong is told, too
		wrong = append(wrong, err)
	}
	c.stores.log = s.g.logger()
	for i := range c.Clusters {
		for _, err := range parts(c.Clusters[i].check()) {
			wrong = append(wrong, mistake{fmt.Sprintf("cluster %q", c.Clusters[i].Name), err})
		}
	}
	tasks := c.tasks()
	if len(tasks) == 0 {
		wrong = append(wrong, &usageError{"no cluster has a schedule", "give each a `schedule` for its backups, and `verify`, `cross-check`, `rehearse` and `prune` blocks"})
	}
	exam := examination{service: s, file: c}
	for _, t := range tasks {
		j, err := t.scheduled()
		for _, err := range parts(err) {
			wrong = append(wrong, mistake{t.where(), err})
		}
		exam.take(ctx, t)
		jobs = append(jobs, s.job(j, c, t))
	}
	return jobs, c, append(wrong, exam.mistakes(s.g)...), nil
}

// job gives a scheduled job what it does.
func (s *service) job(j scheduler.Job, c *configFile, t task) scheduler.Job {
	g := s.forJob(t)
	j.Again = mayPass
	j.Run = func(ctx context.Context) error {
		g.logger().Info("job begins")
		d := t.build(ctx, s, g, c, t.cluster)
		err := overdue(ctx, d.do())
		code := exitCode(ctx, err) // before anybody is told: a signal that comes meanwhile is not how it ended
		s.events.tell(ctx, g, eventOf(ctx, t.name, t.cluster.Name, d.flags.found, err))
		if t.name == "backup" && code < 128 {
			if !t.cluster.Heartbeat.beat(ctx, g, code == exitDone) {
				s.shown.heartbeatFailed(t.cluster.Name)
			}
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

// mayPass tells whether a job failed because something did not answer, which may answer in a minute. Everything else waits for a person, or for its next slot.
func mayPass(err error) bool {
	var how *ending
	return errors.As(err, &how) && (how.code == exitEtcd || how.code == exitSink)
}

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
	code := codeOf(e)
	s.shown.ended(e, code)
	if e.Fresh {
		log.Info("job not needed: what it is for is in the sinks", "next", nextText(e.Next))
		return
	}
	about := []any{"outcome", meaningOf(code), "code", code, "took", e.Took.Round(time.Millisecond), "waited", e.Waited.Round(time.Second), "next", nextText(e.Next)}
	if e.Try > 1 {
		about = append(about, "try", e.Try)
	}
	switch {
	case e.Err == nil:
		log.Info("job done", about...)
	case code == exitPartly:
		log.Warn("job partly done", append(append(about, "err", oneLine(e.Err.Error())), hintAttr(e.Err)...)...)
	default:
		log.Error("job failed", append(append(about, "err", oneLine(e.Err.Error())), hintAttr(e.Err)...)...)
	}
}

// codeOf is the exit status that the command of a job would have had.
func codeOf(e scheduler.Event) int {
	var how *ending
	switch {
	case errors.As(e.Err, &how):
		return how.code
	case e.Err != nil:
		return exitUnexpected
	}
	return exitDone
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
