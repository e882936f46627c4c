package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// requestTimeout bounds one request. The server gives up its own after a minute.
	requestTimeout = 90 * time.Second
	// mostMessage is how much of a refusal is read.
	mostMessage = 64 << 10
	// retries and retryPause are for a server that asks for patience.
	retries    = 5
	retryPause = 2 * time.Second
)

// StatusError is an answer other than 200: what the server said, in its own words.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Is lets errors.Is find a status by its code.
func (e *StatusError) Is(target error) bool {
	other, ok := target.(*StatusError)
	return ok && other.Message == "" && other.Code == e.Code
}

// ErrExpired is the answer to a watch, or to the next page of a list, from a revision whose history is gone: start over.
var ErrExpired error = &StatusError{Code: http.StatusGone}

// Open asks for a path and returns the body, which the caller closes. An answer other than 200 is a *StatusError.
func (a *Server) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	return a.Do(ctx, http.MethodGet, path, nil)
}

// Do is Open with another method, and a body of JSON.
func (a *Server) Do(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostMessage))
	if err != nil {
		return nil, err
	}
	return nil, refusal(resp.StatusCode, text)
}

// refusal reads the Status object that stands in most answers which are not what was asked for.
func refusal(code int, text []byte) *StatusError {
	var status struct{ Message string }
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		return &StatusError{code, status.Message}
	}
	return &StatusError{code, strings.TrimSpace(string(text))}
}

// Get asks for a path, decodes its JSON, and asks again a few times if the server asks for patience.
func (a *Server) Get(ctx context.Context, path string, into any) error {
	return a.patiently(ctx, path, func(body io.Reader) error { return json.NewDecoder(body).Decode(into) })
}

// patiently hands the body of an answer to read.
func (a *Server) patiently(ctx context.Context, path string, read func(io.Reader) error) error {
	return a.again(ctx, func() error { return a.once(ctx, path, read) })
}

// again asks until the answer is another than a plea for patience, a few times at most.
func (a *Server) again(ctx context.Context, ask func() error) error {
	for try := 1; ; try++ {
		err := ask()
		var refused *StatusError
		patience := errors.As(err, &refused) && (refused.Code == http.StatusTooManyRequests || refused.Code == http.StatusGatewayTimeout)
		if !patience || try == retries {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.done:
			return err
		case <-time.After(retryPause):
		}
	}
}

func (a *Server) once(ctx context.Context, path string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := a.Open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	return read(body)
}

// Watch opens a watch of a resource from a revision, as a client does that knows it, and returns nil if the server has
// accepted it and not ended it within wait. What ends it is ErrExpired if the revision is one that the client has to forget.
func (a *Server) Watch(ctx context.Context, r Resource, revision int64, wait time.Duration) error {
	return a.again(ctx, func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, wait, errTimeout)
		defer cancel()
		err := a.watch(ctx, r.path()+"?watch=1&resourceVersion="+strconv.FormatInt(revision, 10))
		if errors.Is(context.Cause(ctx), errTimeout) {
			return nil // watched long enough
		}
		return err
	})
}

// watch returns what ends a watch.
func (a *Server) watch(ctx context.Context, path string) error {
	body, err := a.Open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	events := json.NewDecoder(body)
	for {
		var event struct {
			Type   string
			Object struct {
				Code    int
				Message string
			}
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return &StatusError{event.Object.Code, event.Object.Message}
		}
	}
}
