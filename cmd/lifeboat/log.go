package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
)

const logFormatFlag = "log-format"

// logger writes events to stderr, as text without the time, which the terminal's reader or the log collector has.
func (s streams) logger() *slog.Logger { return s.loggerTo(s.err) }

// loggerTo does so through w.
func (s streams) loggerTo(w io.Writer) *slog.Logger {
	if s.json {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if s.told(groups, a.Key) {
					return slog.Attr{}
				}
				return forPrograms(a)
			},
		}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 || s.told(groups, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// told is whether every line has the attribute from elsewhere: a document has no key twice.
func (s streams) told(groups []string, key string) bool {
	return s.named && key == "cluster" && len(groups) == 0
}

// forPrograms gives an attribute the form that docs/json.md promises: times in UTC, durations in seconds.
func forPrograms(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		return slog.Time(a.Key, a.Value.Time().UTC())
	case slog.KindDuration:
		return slog.Float64(a.Key, a.Value.Duration().Seconds())
	}
	return a
}

// logged makes the streams write every line to stderr as a JSON document, if that is wanted; flush writes what has no end of a line. The flag is looked for
// before the flags are parsed, because what is wrong with them is to be told in that form, too.
func (s streams) logged(args []string, lookup func(string) (string, bool)) (as streams, flush func()) {
	fl := pflag.NewFlagSet("", pflag.ContinueOnError)
	fl.ParseErrorsAllowlist.UnknownFlags = true
	fl.SetOutput(io.Discard)
	fl.BoolP("help", "h", false, "") // otherwise it would be an error here
	format := fl.String(logFormatFlag, "", "")
	_ = fl.Parse(args) // the command will say it better
	if !fl.Changed(logFormatFlag) {
		*format, _ = lookup(variable(logFormatFlag))
	}
	if *format != "json" {
		return s, func() {}
	}
	s.plain, s.json = s.err, true
	lines := &byLine{each: jsonLines{s.plain, s.loggerTo(s.plain)}.line}
	s.err = lines
	return s, lines.flush
}

// checkLogFormat looks at the value of the flag.
func checkLogFormat(format string) error {
	if format != "text" && format != "json" {
		return &usageError{fmt.Sprintf("--%s %q is not a format", logFormatFlag, format), "use text or json"}
	}
	return nil
}

// foreign is where the output of a command that is not ours goes, as it is.
func (s streams) foreign() io.Writer {
	if s.json {
		return s.plain
	}
	return s.err
}

// jsonLines makes a log line of every line that is none already.
type jsonLines struct {
	to  io.Writer
	log *slog.Logger
}

func (l jsonLines) line(line []byte) error {
	if bytes.HasPrefix(line, []byte("{")) && json.Valid(line) {
		_, err := l.to.Write(append(line[:len(line):len(line)], '\n'))
		return err
	}
	logSentence(l.log, string(line))
	return nil
}

// logSentence logs what is written for people.
func logSentence(log *slog.Logger, text string) {
	switch {
	case text == "":
	case strings.HasPrefix(text, "lifeboat: warning: "):
		log.Warn(strings.TrimPrefix(text, "lifeboat: warning: "))
	case strings.HasPrefix(text, "lifeboat: error: "):
		log.Error(strings.TrimPrefix(text, "lifeboat: error: "))
	default:
		log.Info(strings.TrimPrefix(text, "lifeboat: "))
	}
}
