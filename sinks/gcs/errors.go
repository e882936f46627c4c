package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// status returns the HTTP status of a store's answer, or 0 where there was none.
func status(err error) int {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	if errors.Is(err, storage.ErrObjectNotExist) || errors.Is(err, storage.ErrBucketNotExist) {
		return http.StatusNotFound
	}
	return 0
}

// said returns the code and the words of a store's answer, as far as it has any.
func said(err error) (reason, message string) {
	var answer *googleapi.Error
	if !errors.As(err, &answer) {
		return "", ""
	}
	if message = answer.Message; len(answer.Errors) > 0 {
		reason = answer.Errors[0].Reason
	}
	if message == "" { // what answers a download is left to us to read
		var body struct {
			Error struct {
				Message string                `json:"message"`
				Errors  []googleapi.ErrorItem `json:"errors"`
			} `json:"error"`
		}
		if json.Unmarshal([]byte(answer.Body), &body) == nil {
			if message = body.Error.Message; len(body.Error.Errors) > 0 {
				reason = body.Error.Errors[0].Reason
			}
		}
	}
	message, _, _ = strings.Cut(message, "\n")
	return reason, strings.TrimSuffix(message, ".")
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
	var credentials *credentialsError
	var missing *missingBucket
	var nowhere *nowhereError
	var sending *url.Error
	switch {
	case errors.As(err, &missing):
		return "create it, or correct its name or the endpoint", missing.error
	case errors.As(err, &credentials):
		return "give a credentials file, set GOOGLE_APPLICATION_CREDENTIALS, or run where a service account is attached; if they are there, they were withdrawn",
			sinks.Because("no credentials: "+credentials.Error(), fs.ErrPermission, err)
	case errors.As(err, &nowhere):
		return "", nowhere.error
	case errors.Is(err, sinks.ErrStalled):
		return overhttp.Stalled(err, op.s.o.Stall)
	case errors.Is(err, context.DeadlineExceeded) && status(err) == 0:
		return "", context.DeadlineExceeded
	case errors.Is(err, context.Canceled) && status(err) == 0:
		return "", context.Canceled
	case status(err) != 0:
		return op.explainAnswer(err)
	case errors.As(err, &sending):
		return overhttp.Unreached(err, sending.Err, op.s.o.Endpoint)
	}
	return "", err
}

// An explanation is what an answer means. The kinds may be none.
type explanation struct {
	text  string
	kinds []error
	hint  string
}

func (op *operation) explainAnswer(err error) (hint string, cause error) {
	name, message := said(err)
	e := op.explanation(status(err), name, message)
	if name != "" {
		e.text += " (" + name + ")"
	}
	// The answer is no kind of its own: the client's "object does not exist" says nothing of buckets.
	return e.hint, sinks.Because(e.text, e.kinds...)
}

// explanation knows the answers of Google Cloud Storage.
func (op *operation) explanation(status int, reason, said string) explanation {
	if status == http.StatusForbidden && locked(reason, said) {
		return explanation{"the object is locked: " + said, []error{fs.ErrPermission, sinks.ErrLocked}, "it can be removed when its retention has ended and no hold is on it"}
	}
	switch reason {
	case "userProjectMissing":
		return explanation{"the bucket lets requesters pay", []error{fs.ErrPermission}, "use a bucket whose owner pays"}
	case "accountDisabled", "billingNotEnabled":
		return explanation{"the project of the bucket cannot be used", []error{fs.ErrPermission}, "see to its billing"}
	}
	switch status {
	case http.StatusBadRequest:
		return explanation{"the store refuses the request: " + said, nil, "check the bucket's name and the endpoint; if a checksum is meant, the bytes were changed on their way"}
	case http.StatusUnauthorized:
		return explanation{"the store does not accept the credentials", []error{fs.ErrPermission}, "they have expired or were withdrawn, or belong to another store: get new ones"}
	case http.StatusForbidden:
		return explanation{"access denied", []error{fs.ErrPermission}, "the credentials need " + op.needs()}
	case http.StatusNotFound:
		return explanation{"no such object", []error{fs.ErrNotExist}, ""}
	case http.StatusPreconditionFailed:
		return explanation{"the object exists already", []error{fs.ErrExist}, ""}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return explanation{"the store is overloaded and stayed so", nil, "try again later, or run fewer jobs at once"}
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return explanation{"the endpoint sends us elsewhere", nil, "check that the endpoint is Google Cloud Storage"}
	}
	if said == "" {
		said = strings.ToLower(http.StatusText(status))
	}
	return explanation{fmt.Sprintf("the store answers with an error (%d, %s)", status, said), nil, "check that the endpoint is Google Cloud Storage"}
}

// locked tells a retention policy, an object's own retention and holds from lacking permissions: all are status 403.
func locked(reason, said string) bool {
	text := strings.ToLower(reason + " " + said)
	return strings.Contains(text, "retention") || strings.Contains(text, "underactivehold") || strings.Contains(text, "active hold") ||
		strings.Contains(text, "event-based hold") || strings.Contains(text, "temporary hold")
}

// needs names the permission an operation takes.
func (op *operation) needs() string {
	bucket := " on the bucket " + op.s.o.Bucket
	switch op.name {
	case "put":
		return "storage.objects.create" + bucket
	case "delete":
		return "storage.objects.delete and storage.objects.get" + bucket
	case "list":
		return "storage.objects.list" + bucket
	}
	return "storage.objects.get" + bucket + ", and storage.objects.list to be told of missing objects"
}
