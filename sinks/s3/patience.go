package s3

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// An operation is one call of the sink's, with all the requests it takes. They share one patience.
type operation struct {
	s         *Sink
	name, key string
	patience  overhttp.Patience
}

func (s *Sink) operation(name, key string) *operation {
	return &operation{s: s, name: name, key: key, patience: overhttp.Patience{Limit: s.o.Patience, Contact: &s.contact}}
}

// An attempt is one request and its repetitions. It is the client's aws.RetryerV2.
type attempt struct {
	op        *operation
	body      *overhttp.Source // what the request reads, if anything
	conflicts bool             // a 409 is for the caller to handle

	// unsure is set once a repetition may have taken effect though it failed: from then on, what later ones are told
	// (exists already, no such upload) may be of our own making.
	unsure bool
	// renewed says that new credentials were asked for once: what is refused again is refused for good.
	renewed bool
}

func (op *operation) attempt() *attempt { return &attempt{op: op} }

// option makes a client's call use this attempt.
func (a *attempt) option(o *s3.Options) { o.Retryer = a }

// MaxAttempts returns 0: time decides, not a count.
func (a *attempt) MaxAttempts() int { return 0 }

// IsErrorRetryable is asked about every failure.
func (a *attempt) IsErrorRetryable(err error) bool {
	v := judge(err)
	a.unsure = a.unsure || v.unsure
	if code(err) != "" {
		a.op.s.contact.Made()
	}
	if v.conflict && a.conflicts || a.body.Broken() != nil {
		return false
	}
	if a.op.s.keys.expired(code(err)) && !a.renewed {
		a.renewed = true
		a.op.s.keys.renew()
		v.again = true
	}
	if !v.again || !a.op.patience.Lasts(err) {
		return false
	}
	a.op.s.o.Log.Warn("request to the sink failed, trying again", "sink", a.op.s.String(), "key", a.op.key, "err", err)
	return true
}

// RetryDelay returns a random delay up to a limit that doubles each time (full jitter), or what the store asks for.
func (a *attempt) RetryDelay(count int, err error) (time.Duration, error) {
	return max(jitter(count), overhttp.RetryAfter(header(err, "Retry-After"))), nil
}

// GetRetryToken always grants: the operation's patience is the only limit.
func (a *attempt) GetRetryToken(context.Context, error) (func(error) error, error) {
	return a.listen, nil
}

// GetAttemptToken always grants.
func (a *attempt) GetAttemptToken(context.Context) (func(error) error, error) {
	return a.listen, nil
}

// GetInitialToken always grants.
func (a *attempt) GetInitialToken() func(error) error { return a.listen }

// listen is told how each repetition ended.
func (a *attempt) listen(err error) error {
	if err == nil {
		a.op.s.contact.Made()
		a.op.patience.Worked()
	}
	return nil
}

func jitter(count int) time.Duration {
	limit := overhttp.MaxDelay
	if count < 10 {
		limit = min(limit, overhttp.FirstDelay<<max(count-1, 0))
	}
	return rand.N(limit)
}

// A verdict says what a failed request means.
type verdict struct {
	again    bool // it can succeed later
	unsure   bool // it may have taken effect
	conflict bool // another operation on the same key is under way
}

func judge(err error) verdict {
	var cancelled *smithy.CanceledError
	var dial *net.OpError
	var credentials *credentialsError
	var later interface{ RetryableError() bool }
	switch {
	case errors.As(err, &cancelled):
		return verdict{unsure: true}
	case errors.As(err, &credentials): // whoever was asked for them has been asked repeatedly
		return verdict{}
	case errors.Is(err, sinks.ErrStalled), errors.Is(err, io.ErrUnexpectedEOF):
		return verdict{again: true, unsure: true}
	case errors.As(err, &later) && later.RetryableError(): // the client has corrected its clock
		return verdict{again: true}
	case status(err) != 0:
		return judgeAnswer(status(err), code(err))
	case overhttp.Hopeless(err) != "":
		return verdict{}
	case errors.As(err, &dial) && dial.Op == "dial":
		return verdict{again: true}
	case (retry.RetryableConnectionError{}).IsErrorRetryable(err) == aws.TrueTernary:
		return verdict{again: true, unsure: true}
	}
	return verdict{}
}

func judgeAnswer(status int, code string) verdict {
	switch code {
	case "InternalError", "ServiceUnavailable": // also inside a 200, from a store that had to answer early
		return verdict{again: true, unsure: true}
	case "ConditionalRequestConflict", "OperationAborted":
		return verdict{again: true, conflict: true}
	}
	if _, ok := retry.DefaultRetryableErrorCodes[code]; ok {
		return verdict{again: true, unsure: true}
	}
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return verdict{again: true}
	}
	switch status {
	case http.StatusOK, http.StatusPartialContent: // good news that broke off
		return verdict{again: true, unsure: true}
	case http.StatusTooManyRequests:
		return verdict{again: true}
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return verdict{again: true, unsure: true}
	}
	return verdict{unsure: status >= 500}
}
