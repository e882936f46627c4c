package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Delete implements [sinks.Sink]. Where the bucket keeps versions, the one found current is removed by its own id: that frees
// its space, which a delete marker would not, it meets the object lock, which a delete marker passes by, and it cannot hit what
// somebody else puts there in between. An object hidden behind a delete marker is a missing one.
func (s *Sink) Delete(ctx context.Context, key string) error {
	op := s.operation("delete", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return op.fail(err)
	}
	full := s.prefix + key
	found, err := s.current(ctx, op, full)
	if code(err) == "NoSuchKey" {
		return nil // a delete marker over nothing, or one more, would only be in the way
	}
	if err != nil {
		return op.fail(err)
	}
	_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: &full, VersionId: found.VersionId}, op.attempt().option)
	switch {
	case code(err) == "NoSuchKey" || code(err) == "NoSuchVersion":
		return nil
	case err != nil && locked(err, found):
		return op.fail(lockError(err, found))
	}
	return op.fail(err)
}

// current asks what is there. A HEAD that fails has no words, neither for a missing bucket nor for bad credentials; a GET has.
func (s *Sink) current(ctx context.Context, op *operation, full string) (*s3.HeadObjectOutput, error) {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &full}, op.attempt().option)
	if status(err) == 0 {
		return head, err
	}
	got, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: &full}, op.attempt().option)
	if err != nil {
		return nil, err
	}
	return &s3.HeadObjectOutput{
		VersionId: got.VersionId, ObjectLockMode: got.ObjectLockMode,
		ObjectLockLegalHoldStatus: got.ObjectLockLegalHoldStatus, ObjectLockRetainUntilDate: got.ObjectLockRetainUntilDate,
	}, got.Body.Close()
}

// locked tells a refusal for a lock from one for want of permission: the store says AccessDenied to both, or InvalidRequest.
func locked(err error, head *s3.HeadObjectOutput) bool {
	if status(err) != http.StatusForbidden && status(err) != http.StatusBadRequest {
		return false
	}
	var answer smithy.APIError
	if errors.As(err, &answer) {
		said := strings.ToLower(answer.ErrorCode() + " " + answer.ErrorMessage())
		if strings.Contains(said, "object lock") || strings.Contains(said, "objectlock") || strings.Contains(said, "worm protected") {
			return true
		}
	}
	return head.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn || aws.ToTime(head.ObjectLockRetainUntilDate).After(time.Now())
}

func lockError(err error, head *s3.HeadObjectOutput) error {
	text := "the object is locked"
	switch until := head.ObjectLockRetainUntilDate; {
	case head.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn:
		text += " by a legal hold"
	case until != nil:
		text += fmt.Sprintf(" until %s (%s)", until.UTC().Format(time.RFC3339), strings.ToLower(string(head.ObjectLockMode)))
	}
	return &lockedError{sinks.Because(text, sinks.ErrLocked, fs.ErrPermission, err)}
}

// A lockedError is explained already.
type lockedError struct{ error }

func (e *lockedError) Unwrap() error { return e.error }
