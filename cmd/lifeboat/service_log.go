package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// forJob is what the command behind a job is run with: what it tells people becomes log lines with its cluster and its name, and its table goes nowhere.
func (s *service) forJob(t task) *global {
	l := &labelled{
		to:    s.g.err,
		log:   s.g.logger().With("cluster", t.cluster.Name, "job", t.name),
		label: fmt.Sprintf(" cluster=%s job=%s\n", t.cluster.Name, t.name),
	}
	return &global{streams: streams{in: strings.NewReader(""), out: io.Discard, err: l}, now: s.g.now}
}

// labelled turns what one command writes to stderr into lines of the log of all. Everything a command says passes here, so nothing can come
// without saying of which cluster it is.
type labelled struct {
	to    io.Writer
	log   *slog.Logger
	label string

	mu   sync.Mutex
	rest []byte // a line whose end has not come
}

// Write implements [io.Writer].
func (l *labelled) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, after, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.line(string(line))
		l.rest = append([]byte(nil), after...)
	}
}

// line passes on what is a line of the log already, and makes one of a sentence for people.
func (l *labelled) line(text string) {
	switch {
	case text == "":
	case strings.HasPrefix(text, "level="):
		_, _ = io.WriteString(l.to, text+l.label) // nobody is left to tell
	case strings.HasPrefix(text, "lifeboat: warning: "):
		l.log.Warn(strings.TrimPrefix(text, "lifeboat: warning: "))
	case strings.HasPrefix(text, "lifeboat: error: "):
		l.log.Error(strings.TrimPrefix(text, "lifeboat: error: "))
	default:
		l.log.Info(strings.TrimPrefix(text, "lifeboat: "))
	}
}
