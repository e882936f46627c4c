package gcs

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// examineTimeout bounds the question: an answer is worth less than the user's patience.
const examineTimeout = 20 * time.Second

// noticeDays is how long somebody should have to notice a removed backup and to get it back.
const noticeDays = 14

// Examine implements [sinks.Examined]. All there is to know is one answer.
func (s *Sink) Examine(ctx context.Context, prefix string) []sinks.Finding {
	op := s.operation("examine", "")
	within, cancel := context.WithTimeout(op.mark(ctx), examineTimeout)
	defer cancel()
	attrs, err := s.bucket.Retryer(op.retryer()...).Attrs(within)
	if err != nil {
		return untold(op, err)
	}
	all := []sinks.Finding{examineVersioning(attrs), examineSoftDelete(attrs), examineRetention(attrs)}
	return append(append(all, examineLifecycle(attrs, s.prefix+prefix)...), examineAccess(attrs))
}

func untold(op *operation, err error) (all []sinks.Finding) {
	why := "needs storage.buckets.get"
	if code := status(err); code != http.StatusForbidden && code != http.StatusUnauthorized {
		_, cause := op.explain(err)
		why = cause.Error()
	}
	for _, name := range []string{"versioning", "soft delete", "retention policy", "lifecycle: expiry", "lifecycle: archive", "public access"} {
		all = append(all, sinks.Finding{Name: name, Unknown: true, Detail: "cannot tell: " + why})
	}
	return all
}

func examineVersioning(a *storage.BucketAttrs) sinks.Finding {
	if a.VersioningEnabled {
		return sinks.Finding{Name: "versioning", OK: true, Detail: "on: what is overwritten can be had back"}
	}
	return sinks.Finding{Name: "versioning", Detail: "off: turn it on, or rely on soft delete for what somebody overwrites or removes"}
}

func examineSoftDelete(a *storage.BucketAttrs) sinks.Finding {
	f := sinks.Finding{Name: "soft delete"}
	days := 0
	if p := a.SoftDeletePolicy; p != nil {
		days = int(p.RetentionDuration / (24 * time.Hour))
	}
	switch {
	case days >= noticeDays:
		f.OK, f.Detail = true, fmt.Sprintf("what is removed can be had back for %d days", days)
	case days > 0:
		f.Detail = fmt.Sprintf("what is removed can be had back for %d days, which is all the time there is to notice: make it %d or more", days, noticeDays)
	default:
		f.Detail = "off, or not told: what is removed is gone"
	}
	return f
}

func examineRetention(a *storage.BucketAttrs) sinks.Finding {
	f := sinks.Finding{Name: "retention policy"}
	if p := a.RetentionPolicy; p != nil && p.RetentionPeriod > 0 {
		f.OK, f.Detail = true, fmt.Sprintf("nothing can be removed or overwritten for %v", p.RetentionPeriod)
		if !p.IsLocked {
			f.Detail += "; whoever may storage.buckets.update can take the policy away"
		}
		return f
	}
	f.Detail = "none: whoever has a credential that may delete can remove every backup"
	return f
}

// examineLifecycle looks for rules that would meddle with backups: retention is Lifeboat's, which keeps a floor.
func examineLifecycle(a *storage.BucketAttrs, prefix string) []sinks.Finding {
	expiry := sinks.Finding{Name: "lifecycle: expiry", OK: true, Detail: "no rule removes backups"}
	archive := sinks.Finding{Name: "lifecycle: archive", OK: true, Detail: "no rule moves backups to where reading them costs"}
	for _, r := range a.Lifecycle.Rules {
		if !hits(r.Condition, prefix) {
			continue
		}
		switch {
		case r.Action.Type == storage.DeleteAction && r.Condition.Liveness != storage.Archived && r.Condition.NumNewerVersions == 0:
			expiry.OK, expiry.Detail = false, "a rule REMOVES BACKUPS, the last good one too, whatever retention says: take it away or exclude this prefix"
		case r.Action.Type == storage.SetStorageClassAction && r.Action.StorageClass == "ARCHIVE":
			archive.OK, archive.Detail = false, "a rule moves backups to ARCHIVE, which charges for reading and for removing early: exclude this prefix"
		}
	}
	return []sinks.Finding{expiry, archive}
}

// hits tells whether a condition can hold for any key that begins with prefix.
func hits(c storage.LifecycleCondition, prefix string) bool {
	if len(c.MatchesPrefix) == 0 {
		return true
	}
	for _, begin := range c.MatchesPrefix {
		if strings.HasPrefix(begin, prefix) || strings.HasPrefix(prefix, begin) {
			return true
		}
	}
	return false
}

func examineAccess(a *storage.BucketAttrs) sinks.Finding {
	f := sinks.Finding{Name: "public access"}
	if a.PublicAccessPrevention == storage.PublicAccessPreventionEnforced {
		f.OK, f.Detail = true, "prevented"
		return f
	}
	f.Detail = "not prevented by the bucket itself (an organisation's policy may): enforce public access prevention"
	return f
}
