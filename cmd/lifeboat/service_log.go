package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// forJob is what the command behind a job is run with: what it tells people becomes log lines with its cluster and its name, and its table goes nowhere.
func (s *service) forJob(t task) *global {
	l := &labelled{
		to:    s.g.err,
		log:   s.g.logger().With("cluster", t.cluster.Name, "job", t.name),
		label: fmt.Sprintf(" cluster=%s job=%s\n", t.cluster.Name, t.name),
		json:  s.g.json,
	}
	l.each = l.line
	if l.json {
		l.label = fmt.Sprintf(",\"cluster\":%q,\"job\":%q}\n", t.cluster.Name, t.name) // of names that need no escape
	}
	return &global{streams: streams{in: strings.NewReader(""), out: io.Discard, err: l, json: l.json, plain: l, named: true}, now: s.g.now}
}

// labelled turns what one command writes to stderr into lines of the log of all. Everything a command says passes here, so nothing can come
// without saying of which cluster it is.
type labelled struct {
	byLine
	to    io.Writer
	log   *slog.Logger
	label string
	json  bool
}

// line passes on what is a line of the log already, and makes one of a sentence for people.
func (l *labelled) line(line []byte) error {
	switch text := string(line); {
	case strings.HasPrefix(text, "level="):
		_, _ = io.WriteString(l.to, text+l.label) // nobody is left to tell
	case l.json && strings.HasPrefix(text, "{") && json.Valid(line):
		_, _ = io.WriteString(l.to, strings.TrimSuffix(text, "}")+l.label)
	default:
		logSentence(l.log, text)
	}
	return nil
}
