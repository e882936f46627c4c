package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// diary is what ran when, in minutes since the test began.
type diary struct {
	t     *testing.T
	began time.Time
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%.0f ", time.Since(d.began).Minutes())+fmt.Sprintf(format, args...))
}

func (d *diary) is(want ...string) {
	d.t.Helper()
	if !slices.Equal(d.lines, want) {
		d.t.Errorf("it went\n%s\nand not\n%s", strings.Join(d.lines, "\n"), strings.Join(want, "\n"))
	}
}

// job is one that takes so long and obeys the end of its context.
func (d *diary) job(cluster, name, spec string, takes time.Duration) scheduler.Job {
	return scheduler.Job{Cluster: cluster, Name: name, Schedule: schedule(d.t, spec, ""), Run: func(ctx context.Context) error {
		d.note("%s/%s", cluster, name)
		select {
		case <-time.After(takes):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}
}

// nth tells of every try but the first that it is another.
func nth(try int) string {
	if try == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d)", try)
}

func (d *diary) ended(e scheduler.Event) {
	switch {
	case e.Fresh:
		d.note("%s/%s is fresh", e.Cluster, e.Job)
	case e.Err != nil:
		text, _, _ := strings.Cut(e.Err.Error(), "\n")
		d.note("%s/%s failed%s: %s", e.Cluster, e.Job, nth(e.Try), text)
	}
}

// during runs a scheduler with one goroutine for the test beside it.
func during(t *testing.T, o scheduler.Options, long time.Duration, jobs func(*diary) []scheduler.Job, meanwhile func(*diary, *scheduler.Scheduler)) (d *diary, abandoned int) {
	d = &diary{t: t, began: time.Now()}
	o.Observe = d.ended
	ctx, stop := context.WithTimeoutCause(t.Context(), long, errors.New("told to stop"))
	defer stop()
	s := scheduler.New(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if meanwhile != nil {
			meanwhile(d, s)
		}
	}()
	abandoned = s.Run(ctx, jobs(d))
	d.note("over")
	<-done
	return d, abandoned
}

func TestASlotThatFindsItsClusterBusyWaitsAndSeveralAreOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 74*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.job("a", "backup", "*/10 * * * *", time.Minute), d.job("a", "rehearse", "15 * * * *", 37*time.Minute)}
		}, nil)
		d.is("10 a/backup", "15 a/rehearse", "52 a/backup", "60 a/backup", "70 a/backup", "74 over")
	})
}

func TestTheBoundHoldsOverAllClustersAndWhoWaitsLongestIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 1}, 59*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{
				d.job("a", "backup", "10 * * * *", 10*time.Minute), d.job("a", "verify", "10 * * * *", 10*time.Minute), d.job("b", "backup", "10 * * * *", 5*time.Minute),
			}
		}, nil)
		d.is("10 a/backup", "20 b/backup", "25 a/verify", "59 over")
	})
}

func TestAPlaceIsKeptForWhatIsUrgentWhichGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 2}, 59*time.Minute, func(d *diary) []scheduler.Job {
			urgent := func(cluster, spec string) scheduler.Job {
				j := d.job(cluster, "backup", spec, 5*time.Minute)
				j.Urgent = true
				return j
			}
			return []scheduler.Job{
				d.job("a", "rehearse", "10 * * * *", 20*time.Minute), d.job("b", "rehearse", "11 * * * *", 20*time.Minute),
				urgent("c", "12 * * * *"), urgent("d", "13 * * * *"), urgent("e", "28 * * * *"), urgent("f", "29 * * * *"),
			}
		}, nil)
		d.is("10 a/rehearse", "12 c/backup", "17 d/backup", "28 e/backup", "30 f/backup", "33 b/rehearse", "59 over")
	})
}

func TestAtTheStartOnlyWhatWasMissedRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 10}, 40*time.Minute, func(d *diary) []scheduler.Job {
			with := func(name string, last time.Duration, ok bool) scheduler.Job {
				j := d.job(name, "backup", "30 * * * *", time.Minute)
				j.Last = func(context.Context) (time.Time, bool) {
					if last == 0 {
						return time.Time{}, ok
					}
					return d.began.Add(last), ok
				}
				return j
			}
			return []scheduler.Job{
				with("fresh", -29*time.Minute, true), with("missed", -31*time.Minute, true), with("never", 0, true),
				with("unknown", -time.Minute, false), with("from-the-future", time.Hour, true), d.job("untold", "prune", "30 * * * *", time.Minute),
			}
		}, nil)
		slices.Sort(d.lines)
		d.is("0 fresh/backup is fresh", "0 from-the-future/backup", "0 missed/backup", "0 never/backup", "0 unknown/backup",
			"30 fresh/backup", "30 from-the-future/backup", "30 missed/backup", "30 never/backup", "30 unknown/backup", "30 untold/prune", "40 over")
	})
}

func TestAnotherSetOfJobsLeavesWhatRunsAndWhatIsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, abandoned := during(t, scheduler.Options{Parallel: 5, Grace: time.Hour}, 95*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{
				d.job("gone", "backup", "10 * * * *", 30*time.Minute), d.job("kept", "backup", "10 * * * *", 30*time.Minute),
				d.job("kept", "verify", "20 * * * *", time.Minute), d.job("moved", "backup", "45 * * * *", time.Minute),
			}
		}, func(d *diary, s *scheduler.Scheduler) {
			time.Sleep(25 * time.Minute) // two run, and kept/verify waits
			s.Replace([]scheduler.Job{
				d.job("kept", "backup", "10 * * * *", 30*time.Minute), d.job("kept", "verify", "20 * * * *", time.Minute),
				d.job("moved", "backup", "50 * * * *", time.Minute), d.job("new", "backup", "10 * * * *", time.Minute),
			})
		})
		slices.Sort(d.lines) // what begins at the same moment has no order
		d.is("10 gone/backup", "10 kept/backup", "100 over", "40 kept/verify", "50 moved/backup", "70 kept/backup", "70 new/backup")
		if abandoned != 0 {
			t.Errorf("%d were abandoned", abandoned)
		}
	})
}

func TestTheEndWaitsForWhatRunsAsLongAsTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, abandoned := during(t, scheduler.Options{Parallel: 5, Grace: 20 * time.Minute}, 15*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{
				d.job("quick", "backup", "10 * * * *", 20*time.Minute), d.job("quick", "verify", "12 * * * *", time.Minute), d.job("slow", "backup", "11 * * * *", time.Hour),
			}
		}, func(_ *diary, s *scheduler.Scheduler) {
			time.Sleep(20 * time.Minute)
			s.Replace(nil) // is taken by nobody any more, and must not hang
		})
		d.is("10 quick/backup", "11 slow/backup", "35 slow/backup failed: told to stop", "35 over")
		if abandoned != 1 {
			t.Errorf("%d were abandoned", abandoned)
		}
	})
}

func TestAJobThatFailsPanicsOrTakesTooLongHindersNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 1}, 35*time.Minute, func(d *diary) []scheduler.Job {
			fails := d.job("fails", "backup", "10 * * * *", 0)
			fails.Run = func(context.Context) error { return errors.New("no luck") }
			panics := d.job("panics", "backup", "10 * * * *", 0)
			panics.Run = func(context.Context) error { panic("no map") }
			hangs := d.job("hangs", "backup", "10 * * * *", 24*time.Hour)
			hangs.Timeout = 5 * time.Minute
			return []scheduler.Job{fails, panics, hangs, d.job("works", "backup", "10 * * * *", time.Minute)}
		}, nil)
		d.is("10 fails/backup failed: no luck", "10 panics/backup failed: panic: no map", "10 hangs/backup", "15 hangs/backup failed: not done after 5m0s",
			"15 works/backup", "35 over")
	})
}

func TestJitterIsTheSameInEveryProcessAndWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := func() map[string]time.Duration {
			var mu sync.Mutex
			all := map[string]time.Duration{}
			time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour - time.Second)))
			hour := time.Now().Add(time.Second)
			during(t, scheduler.Options{Parallel: 1000}, 50*time.Minute, func(d *diary) (jobs []scheduler.Job) {
				for i := range 100 {
					j := d.job(fmt.Sprint("c", i), "backup", "0 * * * *", 0)
					j.Jitter = 10 * time.Minute
					if i%2 == 1 {
						j.Schedule, j.Jitter = schedule(t, "*/30 * * * *", ""), 24*time.Hour
					}
					j.Run = func(context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						if _, again := all[j.Cluster]; !again {
							all[j.Cluster] = time.Since(hour)
						}
						return nil
					}
					jobs = append(jobs, j)
				}
				return jobs
			}, nil)
			return all
		}
		first, second := starts(), starts()
		early, late := 0, 0
		for i := range 100 {
			name, limit := fmt.Sprint("c", i), 10*time.Minute
			if i%2 == 1 {
				limit = 15 * time.Minute // half the way to the next slot
			}
			at := first[name]
			if at != second[name] || at < 0 || at > limit {
				t.Errorf("%s begins %s after its slot, then %s; at most %s", name, at, second[name], limit)
			}
			if at < limit/2 {
				early++
			} else {
				late++
			}
		}
		if early < 30 || late < 30 {
			t.Errorf("%d begin in the first half and %d in the second", early, late)
		}
	})
}
