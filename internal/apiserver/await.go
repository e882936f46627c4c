package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

const (
	// askEvery and askTimeout pace the question whether the server is ready yet.
	askEvery   = 200 * time.Millisecond
	askTimeout = 10 * time.Second
	// logTail is how much of its log is searched for its last words.
	logTail = 64 << 10
	// mostSaid is how much of one line of it is repeated.
	mostSaid = 500
)

// DownError is a server that does not serve although it should. Its process may be alive.
type DownError struct{ Reason string }

func (e *DownError) Error() string { return "kube-apiserver: " + e.Reason }

var errTimeout = errors.New("not in time")

// caches are the parts of readiness that wait until the server has read everything it keeps in memory. One object that
// it cannot read holds them up for ever, while it answers for all others.
var caches = []string{"informer-sync", "poststarthook/storage-readiness"}

// Ready waits until the server says that it is ready in every respect. An end before that, or none within timeout, is a *DownError; the
// end of ctx is its cause.
func (a *Server) Ready(ctx context.Context, timeout time.Duration) error {
	return a.await(ctx, "/readyz?verbose", timeout)
}

// Answers waits as Ready does, but not for what the server keeps in memory.
func (a *Server) Answers(ctx context.Context, timeout time.Duration) error {
	return a.await(ctx, "/readyz?verbose&"+url.Values{"exclude": caches}.Encode(), timeout)
}

func (a *Server) await(ctx context.Context, path string, timeout time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	for {
		last := a.askOnce(limited, path)
		if last == nil {
			return nil
		}
		select {
		case <-a.done:
			if ctx.Err() != nil {
				return context.Cause(ctx) // it died of that
			}
			return a.err
		case <-limited.Done():
			if !errors.Is(context.Cause(limited), errTimeout) {
				return context.Cause(ctx)
			}
			return &DownError{fmt.Sprintf("not ready within %s: %v; the last error in its log: %s", timeout, last, lastWords(a.tail()))}
		case <-time.After(askEvery):
		}
	}
}

func (a *Server) askOnce(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	body, err := a.Open(ctx, path)
	var refused *StatusError
	if errors.As(err, &refused) {
		return refused.unready()
	}
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return err
}

var unready = regexp.MustCompile(`(?m)^\[-\](\S+) failed`)

// unready names the parts that are not ready, as the answer lists them.
func (e *StatusError) unready() error {
	var parts []string
	for _, m := range unready.FindAllStringSubmatch(e.Message, -1) {
		parts = append(parts, m[1])
	}
	if len(parts) == 0 {
		return e
	}
	return fmt.Errorf("it waits for %s", strings.Join(parts, ", "))
}

// tail is the end of the log.
func (a *Server) tail() []byte {
	f, err := os.Open(a.Log)
	if err != nil {
		return nil
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, size-logTail), logTail))
	if err != nil {
		return nil
	}
	return text
}

// complaint matches what a server says when something is wrong: a klog line of an error or worse, an error of its command line, the
// beginning of a crash.
var complaint = regexp.MustCompile(`(?m)^([EF]\d{4} .*|Error: .*|panic: .*|fatal error: .*)$`)

// lastWords is the last complaint in a log, or else its last line.
func lastWords(log []byte) string {
	log = bytes.TrimSpace(log)
	said := log[bytes.LastIndexByte(log, '\n')+1:]
	if all := complaint.FindAll(log, -1); len(all) > 0 {
		said = all[len(all)-1]
	}
	if bytes.HasPrefix(said, []byte("E")) || bytes.HasPrefix(said, []byte("F")) {
		if _, text, ok := bytes.Cut(said, []byte("] ")); ok { // without the time and place that klog puts first
			said = text
		}
	}
	return string(said[:min(len(said), mostSaid)])
}
