package s3

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

const (
	expiryName   = "lifecycle: expiry"
	noticeName   = "lifecycle: old versions"
	archiveName  = "lifecycle: archive"
	leftoverName = "lifecycle: unfinished uploads"

	// noticeDays is how long somebody should have to notice an overwritten backup and to get it back.
	noticeDays = 14
)

// lifecycle looks for rules of the bucket's own that would meddle with backups: retention is Lifeboat's, which keeps a floor.
func (e *examination) lifecycle(ctx context.Context, op *operation) []sinks.Finding {
	out, err := e.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &e.o.Bucket}, op.attempt().option)
	var rules []types.LifecycleRule
	switch {
	case code(err) == "NoSuchLifecycleConfiguration":
	case err != nil:
		return untold(op, "s3:GetLifecycleConfiguration", err, expiryName, noticeName, archiveName, leftoverName)
	default:
		rules = out.Rules
	}
	found := map[string][]string{}
	collected := false
	for _, r := range rules {
		if !hits(r, e.prefix) {
			continue
		}
		for name, what := range meddling(r, e.lockDays) {
			found[name] = append(found[name], fmt.Sprintf("the rule %q %s", aws.ToString(r.ID), what))
		}
		if a := r.AbortIncompleteMultipartUpload; a != nil && aws.ToInt32(a.DaysAfterInitiation) > 0 && covers(r, e.prefix) {
			collected = true
		}
	}
	var all []sinks.Finding
	for _, q := range []struct{ name, good string }{
		{expiryName, "no rule removes backups"},
		{noticeName, "no rule removes overwritten objects before anybody notices"},
		{archiveName, "no rule moves backups where they cannot be read at once"},
	} {
		f := sinks.Finding{Name: q.name, OK: true, Detail: q.good}
		if bad := found[q.name]; len(bad) > 0 {
			f.OK, f.Detail = false, strings.Join(bad, "; ")
		}
		all = append(all, f)
	}
	if collected {
		return append(all, fine(leftoverName, "a rule removes their parts")...)
	}
	return append(all, advice(leftoverName,
		"no rule removes the parts of uploads that a crash left unfinished, which are paid for and not listed: add one with AbortIncompleteMultipartUpload after 7 days")...)
}

// meddling says what a rule does to backups, by the finding it belongs to.
func meddling(r types.LifecycleRule, lockDays int) map[string]string {
	what := map[string]string{}
	if x := r.Expiration; x != nil && (aws.ToInt32(x.Days) > 0 || x.Date != nil) {
		when := fmt.Sprintf("after %d days", aws.ToInt32(x.Days))
		if x.Date != nil {
			when = "from " + x.Date.Format(time.DateOnly) + " on"
		}
		what[expiryName] = "REMOVES BACKUPS " + when + ", the last good one too, whatever retention says: take it away or exclude this prefix"
	}
	if n := r.NoncurrentVersionExpiration; n != nil {
		if days := int(aws.ToInt32(n.NoncurrentDays)); days < max(noticeDays, lockDays) {
			what[noticeName] = fmt.Sprintf("removes an overwritten object after %d days, which is all the time there is to notice: make it %d or more", days, max(noticeDays, lockDays))
		}
	}
	for _, t := range r.Transitions {
		switch t.StorageClass {
		case types.TransitionStorageClassGlacier, types.TransitionStorageClassDeepArchive:
			what[archiveName] = fmt.Sprintf("moves backups to %s after %d days, from where bringing one back takes hours: exclude this prefix", t.StorageClass, aws.ToInt32(t.Days))
		}
	}
	return what
}

// rulePrefix is the beginning of the keys that a rule is about, and whether it is about all of those.
func rulePrefix(r types.LifecycleRule) (prefix string, all bool) {
	switch f := r.Filter; {
	case f == nil:
		return "", true // a rule from before there were filters: better told once too often
	case f.And != nil:
		and := f.And
		return aws.ToString(and.Prefix), len(and.Tags) == 0 && and.ObjectSizeGreaterThan == nil && and.ObjectSizeLessThan == nil
	default:
		return aws.ToString(f.Prefix), f.Tag == nil && f.ObjectSizeGreaterThan == nil && f.ObjectSizeLessThan == nil
	}
}

// hits tells whether a rule can be about any key that begins with prefix. Our objects have no tags.
func hits(r types.LifecycleRule, prefix string) bool {
	if r.Status != types.ExpirationStatusEnabled {
		return false
	}
	if f := r.Filter; f != nil && (f.Tag != nil || f.And != nil && len(f.And.Tags) > 0) {
		return false
	}
	begin, _ := rulePrefix(r)
	return strings.HasPrefix(begin, prefix) || strings.HasPrefix(prefix, begin)
}

// covers tells whether a rule is about every key that begins with prefix.
func covers(r types.LifecycleRule, prefix string) bool {
	begin, all := rulePrefix(r)
	return all && strings.HasPrefix(prefix, begin)
}
