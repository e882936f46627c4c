package examine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// oldUpload is how old an unfinished upload is that nobody is at work on any more.
const oldUpload = 24 * time.Hour

// unfinished counts what killed processes have left of uploads among the backups.
func unfinished(ctx context.Context, s sinks.Sink) []Result {
	known, ok := s.(sinks.Unfinished)
	if !ok {
		return nil
	}
	r := Result{Kind: Posture, Name: "unfinished uploads", State: OK, Detail: "none that is older than a day"}
	old, oldest := 0, time.Time{}
	for u, err := range known.Uploads(ctx, "v1/") {
		if err != nil {
			r.State, r.Detail = Unknown, "cannot tell: "+cause(err)
			return []Result{r}
		}
		if time.Since(u.Started) < oldUpload {
			continue
		}
		old++
		if oldest.IsZero() || u.Started.Before(oldest) {
			oldest = u.Started
		}
	}
	if old > 0 {
		r.State = Advice
		r.Detail = fmt.Sprintf("%d are older than a day, the oldest of %s: they are paid for and show in no listing; lifeboat prune gives them up", old, oldest.UTC().Format(time.DateOnly))
	}
	return []Result{r}
}

// giveUp ends the uploads that are left below a prefix, and tells how many there were. A credential that may not look for them has
// given up its own already.
func giveUp(ctx context.Context, s sinks.Sink, prefix string) (found int, failed error) {
	known, ok := s.(sinks.Unfinished)
	if !ok {
		return 0, nil
	}
	for u, err := range known.Uploads(ctx, prefix) {
		if err != nil {
			return found, failed
		}
		found++
		failed = errors.Join(failed, known.Abort(ctx, u))
	}
	return found, failed
}

// cause is the reason in an error of a sink, without what it happened to be about, and with what would help.
func cause(err error) string {
	var e *sinks.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Hint
}
