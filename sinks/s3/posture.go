package s3

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// examineTimeout bounds each question: an answer is worth less than the user's patience.
const examineTimeout = 20 * time.Second

// An examination is one pass over a bucket's settings.
type examination struct {
	*Sink
	prefix   string // of the keys concerned, the sink's own included
	lockDays int    // how long the bucket's lock holds an object by default; 0: not at all
}

// Examine implements [sinks.Examined].
func (s *Sink) Examine(ctx context.Context, prefix string) []sinks.Finding {
	e := &examination{Sink: s, prefix: s.prefix + prefix}
	var all []sinks.Finding
	for _, ask := range []func(context.Context, *operation) []sinks.Finding{
		e.versioning, e.lock, e.lifecycle, e.encryption, e.publicity,
	} {
		if ctx.Err() != nil {
			break
		}
		within, cancel := context.WithTimeout(ctx, examineTimeout)
		all = append(all, ask(within, s.operation("examine", ""))...)
		cancel()
	}
	return all
}

func fine(name, format string, args ...any) []sinks.Finding {
	return []sinks.Finding{{Name: name, OK: true, Detail: fmt.Sprintf(format, args...)}}
}

func advice(name, format string, args ...any) []sinks.Finding {
	return []sinks.Finding{{Name: name, Detail: fmt.Sprintf(format, args...)}}
}

// untold is the finding where the store gave no answer to go by.
func untold(op *operation, permission string, err error, names ...string) (all []sinks.Finding) {
	why := ""
	switch {
	case status(err) == http.StatusForbidden, status(err) == http.StatusUnauthorized:
		why = "needs " + permission
	case status(err) == http.StatusNotImplemented, status(err) == http.StatusMethodNotAllowed, code(err) == "NotImplemented", code(err) == "MethodNotAllowed":
		why = "the store does not know the question"
	default:
		_, cause := op.explain(err)
		if why = err.Error(); cause != nil {
			why = cause.Error()
		}
	}
	for _, name := range names {
		all = append(all, sinks.Finding{Name: name, Unknown: true, Detail: "cannot tell: " + why})
	}
	return all
}

func (e *examination) versioning(ctx context.Context, op *operation) []sinks.Finding {
	const name = "versioning"
	out, err := e.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &e.o.Bucket}, op.attempt().option)
	switch {
	case err != nil:
		return untold(op, "s3:GetBucketVersioning", err, name)
	case out.Status == types.BucketVersioningStatusEnabled:
		return fine(name, "on: what is overwritten or hidden can be had back, and list and restore look for it")
	case out.Status == types.BucketVersioningStatusSuspended:
		return advice(name, "suspended: what is overwritten now is gone; turn it on again")
	}
	return advice(name, "off: what somebody overwrites with this credential is gone; turn it on")
}

func (e *examination) lock(ctx context.Context, op *operation) []sinks.Finding {
	const name = "object lock"
	out, err := e.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &e.o.Bucket}, op.attempt().option)
	if code(err) == "ObjectLockConfigurationNotFoundError" {
		return advice(name, "off: whoever has a credential that may delete can remove every backup; a bucket can be made with a lock, and a default retention in governance mode")
	}
	if err != nil {
		return untold(op, "s3:GetBucketObjectLockConfiguration", err, name)
	}
	c := out.ObjectLockConfiguration
	if c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return advice(name, "off: whoever has a credential that may delete can remove every backup")
	}
	if c.Rule == nil || c.Rule.DefaultRetention == nil {
		return advice(name, "on, without a default retention: new objects are not locked unless who puts them asks for it; set a default in governance mode")
	}
	r := c.Rule.DefaultRetention
	e.lockDays = int(aws.ToInt32(r.Days)) + 365*int(aws.ToInt32(r.Years))
	who := "whoever may s3:BypassGovernanceRetention can still remove them"
	if r.Mode == types.ObjectLockRetentionModeCompliance {
		who = "nobody at all can remove them sooner, and they are paid for until then"
	}
	return fine(name, "on: every object is locked for %d days (%s); %s", e.lockDays, r.Mode, who)
}

func (e *examination) encryption(ctx context.Context, op *operation) []sinks.Finding {
	const name = "encryption at rest"
	out, err := e.client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &e.o.Bucket}, op.attempt().option)
	if code(err) == "ServerSideEncryptionConfigurationNotFoundError" {
		return fine(name, "none by default, and none is needed: backups are encrypted before they leave the machine")
	}
	if err != nil {
		return untold(op, "s3:GetEncryptionConfiguration", err, name)
	}
	if c := out.ServerSideEncryptionConfiguration; c != nil {
		for _, rule := range c.Rules {
			d := rule.ApplyServerSideEncryptionByDefault
			if d != nil && d.SSEAlgorithm != types.ServerSideEncryptionAes256 {
				key := aws.ToString(d.KMSMasterKeyID)
				if key == "" {
					key = "the account's default key"
				}
				return fine(name, "%s with %s: backup needs kms:GenerateDataKey and restore kms:Decrypt on it, also on the day of the disaster", d.SSEAlgorithm, key)
			}
		}
	}
	return fine(name, "on, with the store's own keys")
}
