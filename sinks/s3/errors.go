package s3

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// code returns the error code of a store's answer, or "".
func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// status returns the HTTP status of a store's answer, or 0 where there was none (for which the client has an answer too).
func status(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

// header returns a header of a store's answer, or "".
func header(err error, name string) string {
	var answer *smithyhttp.ResponseError
	if status(err) != 0 && errors.As(err, &answer) {
		return answer.Response.Header.Get(name)
	}
	return ""
}

// fail dresses an error for the caller; nil stays nil.
func (op *operation) fail(err error) error {
	if err == nil {
		return nil
	}
	hint, cause := op.explain(err)
	return &sinks.Error{Op: op.name, Sink: op.s.String(), Key: op.key, Err: cause, Hint: hint}
}

// explain says in words what an error means, and what to do about it.
func (op *operation) explain(err error) (hint string, cause error) {
	var ended interface{ CanceledError() bool }
	var credentials *credentialsError
	var send *smithyhttp.RequestSendError
	var lock *lockedError
	switch {
	case errors.As(err, &lock):
		return "wait until the lock ends; credentials cannot help", lock.error
	case errors.As(err, &ended) && ended.CanceledError() && errors.Is(err, context.DeadlineExceeded):
		return "", context.DeadlineExceeded
	case errors.As(err, &ended) && ended.CanceledError():
		return "", context.Canceled
	case errors.As(err, &credentials):
		return credentials.hint(),
			sinks.Because("no credentials: "+credentials.Error(), fs.ErrPermission, err)
	case errors.Is(err, sinks.ErrStalled):
		return overhttp.Stalled(err, op.s.o.Stall)
	case status(err) != 0:
		return op.explainAnswer(err)
	case errors.As(err, &send):
		return overhttp.Unreached(err, send.Err, op.s.o.Endpoint)
	}
	return "", err
}

// An explanation is what an error code means. The kind may be nil.
type explanation struct {
	text string
	kind error
	hint string
}

func (op *operation) explainAnswer(err error) (hint string, cause error) {
	name := code(err)
	e := op.explanation(err)
	var api smithy.APIError
	if e.text == "" && errors.As(err, &api) {
		e.text = "the store says: " + strings.TrimSuffix(api.ErrorMessage(), ".")
		e.hint = "check that the endpoint is an S3 store, and look into its logs"
	}
	if region := header(err, "X-Amz-Bucket-Region"); region != "" && e.kind == errRegion {
		e.hint = "the bucket is in " + region + ": add region=" + region + " to the URL"
	}
	if name != "" {
		e.text += " (" + name + ")"
	}
	if e.kind == nil || e.kind == errRegion {
		return e.hint, sinks.Because(e.text, err)
	}
	return e.hint, sinks.Because(e.text, e.kind, err)
}

// errRegion marks answers that only mean another region.
var errRegion = errors.New("another region")

// explanation knows the codes of AWS and of the stores like it. A HEAD has only a status.
func (op *operation) explanation(err error) explanation {
	code, status, bucket := code(err), status(err), op.s.o.Bucket
	if op.s.keys.expired(code) {
		return explanation{"the credentials have expired or were withdrawn", fs.ErrPermission, "get new ones; they need " + op.needs(err)}
	}
	switch code {
	case "NoSuchBucket":
		return explanation{"the bucket " + bucket + " does not exist", sinks.ErrNoBucket, "create it, or correct its name, the endpoint or the region"}
	case "InvalidBucketName":
		return explanation{bucket + " cannot be the name of a bucket", sinks.ErrNoBucket, "correct the URL"}
	case "NoSuchKey", "NotFound":
		return explanation{"no such object", fs.ErrNotExist, ""}
	case "PreconditionFailed":
		return explanation{"the object exists already", fs.ErrExist, ""}
	case "InvalidAccessKeyId":
		return explanation{"the store does not know the access key", fs.ErrPermission, "check the access key id, and that it belongs to this store"}
	case "SignatureDoesNotMatch":
		return explanation{"the secret key does not belong to the access key", fs.ErrPermission, "check the secret access key; a proxy that rewrites requests has the same effect"}
	case "RequestTimeTooSkewed":
		return explanation{"this machine's clock differs too much from the store's", fs.ErrPermission, "set the clock"}
	case "PermanentRedirect", "TemporaryRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return explanation{"the bucket is in another region", errRegion, "add region=… to the URL"}
	case "NotImplemented":
		return explanation{"the store cannot do this", nil, "it lacks something that is needed; if that is conditional writes (If-None-Match), add conditional-writes=false to the URL"}
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded":
		return explanation{"the store is full", nil, "free some space there, or raise the quota"}
	}
	var answer smithy.APIError
	if op.s.o.LockMode != "" && errors.As(err, &answer) && strings.Contains(answer.ErrorMessage(), "missing ObjectLockConfiguration") {
		return explanation{"the bucket was made without object lock", nil, "make a bucket with object lock, or leave lock-mode and lock-days out of the URL"}
	}
	switch status {
	case 401, 403:
		return explanation{"access denied", fs.ErrPermission, "the credentials need " + op.needs(err)}
	case 404:
		return explanation{"no such object", fs.ErrNotExist, ""}
	case 412:
		return explanation{"the object exists already", fs.ErrExist, ""}
	case 301, 307:
		return explanation{"the bucket is in another region", errRegion, "add region=… to the URL"}
	case 400:
		if strings.HasPrefix(op.s.o.Endpoint, "http://") && code == "" {
			return explanation{"the store does not understand the request", nil, "if it speaks TLS, write https:// for the endpoint"}
		}
	case 429, 503:
		return explanation{"the store is overloaded and stayed so", nil, "try again later, or run fewer jobs at once"}
	}
	if code == "" {
		return explanation{"the store answers with an error (" + strings.ToLower(http.StatusText(status)) + ")", nil, "check that the endpoint is an S3 store"}
	}
	return explanation{}
}
