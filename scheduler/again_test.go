package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// errPassing is a failure that mends itself.
var errPassing = errors.New("nobody answers")

func passing(err error) bool { return errors.Is(err, errPassing) }

// failing is a job that fails with err until the first run that begins at the given minute or later.
func (d *diary) failing(cluster, spec string, err error, until int) scheduler.Job {
	j := d.job(cluster, "backup", spec, time.Second)
	works := j.Run
	j.Again = passing
	j.Run = func(ctx context.Context) error {
		if time.Since(d.began) < time.Duration(until)*time.Minute {
			return err
		}
		return works(ctx)
	}
	return j
}

func TestAJobThatMaySucceedSoonIsTriedAgainEverMoreSeldomUntilHalfOfTheWayToItsNextSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 75*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.failing("a", "10 * * * *", errPassing, 1000)}
		}, nil)
		fails := func(at, try int) string { return fmt.Sprintf("%d a/backup failed%s: nobody answers", at, nth(try)) }
		d.is(fails(10, 1), fails(11, 2), fails(13, 3), fails(17, 4), fails(25, 5), // 41 would be too late
			fails(70, 1), fails(71, 2), fails(73, 3), "75 over")
	})
}

func TestPausesBetweenTriesGrowToAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 300*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.failing("a", "10 0 * * *", errPassing, 260)}
		}, nil)
		fails := func(at, try int) string { return fmt.Sprintf("%d a/backup failed%s: nobody answers", at, nth(try)) }
		d.is(fails(10, 1), fails(11, 2), fails(13, 3), fails(17, 4), fails(25, 5), fails(41, 6), fails(73, 7), fails(133, 8), fails(193, 9), fails(253, 10), "300 over")
	})
}

func TestATryThatSucceedsIsTheLastForItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 71*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.failing("a", "10 * * * *", errPassing, 12)}
		}, nil)
		d.is("10 a/backup failed: nobody answers", "11 a/backup failed (2): nobody answers", "13 a/backup", "70 a/backup", "71 over")
	})
}

func TestOnlyWhatMaySucceedSoonIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 71*time.Minute, func(d *diary) []scheduler.Job {
			untold := d.failing("b", "20 * * * *", errPassing, 30)
			untold.Again = nil
			return []scheduler.Job{d.failing("a", "10 * * * *", errors.New("no key"), 30), untold}
		}, nil)
		d.is("10 a/backup failed: no key", "20 b/backup failed: nobody answers", "70 a/backup", "71 over")
	})
}

func TestATryWaitsForTheOtherJobsOfItsCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := during(t, scheduler.Options{Parallel: 5}, 59*time.Minute, func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.failing("a", "10 * * * *", errPassing, 13), d.job("a", "rehearse", "10 * * * *", 5*time.Minute)}
		}, nil)
		d.is("10 a/backup failed: nobody answers", "10 a/rehearse", "15 a/backup", "59 over")
	})
}

func TestAReloadKeepsWhatIsToBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := func(d *diary) []scheduler.Job {
			return []scheduler.Job{d.failing("a", "10 * * * *", errPassing, 16), d.failing("moved", "10 * * * *", errPassing, 16)}
		}
		d, _ := during(t, scheduler.Options{Parallel: 1}, 59*time.Minute, jobs, func(d *diary, s *scheduler.Scheduler) {
			time.Sleep(14 * time.Minute)
			set := jobs(d)
			set[1].Schedule = schedule(t, "30 * * * *", "")
			s.Replace(set)
		})
		fails := func(at int, cluster string, try int) string {
			return fmt.Sprintf("%d %s/backup failed%s: nobody answers", at, cluster, nth(try))
		}
		d.is(fails(10, "a", 1), fails(10, "moved", 1), fails(11, "a", 2), fails(11, "moved", 2), fails(13, "a", 3), fails(13, "moved", 3), "17 a/backup", "30 moved/backup", "59 over")
	})
}
