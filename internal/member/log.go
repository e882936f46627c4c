package member

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
)

// logTail is how much of a member's log is searched for its last words. The goroutine traces of a panic are long, and what
// they are about stands before them.
const logTail = 256 << 10

// crash matches the lines with which the Go runtime begins a death.
var crash = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|unexpected fault address .*)$`)

// lastWords finds in a log, from an offset on, what a process that died had to say about it: the first line of a crash, or
// else the last error it logged, or else simply its last line. "" means that it said nothing or that the log cannot be read.
func lastWords(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		from = max(from, size-logTail)
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, from, logTail))
	if err != nil {
		return ""
	}
	died := crash.FindString(string(tail))
	last := ""
	for line := range bytes.Lines(tail) {
		if text, bad := logged(line); bad {
			last = text
		}
	}
	switch {
	case died != "" && strings.HasPrefix(last, strings.TrimPrefix(died, "panic: ")):
		return "panic: " + last // the same, with the error that led to it
	case died != "":
		return died
	case last != "":
		return last
	}
	lines := strings.Split(strings.TrimSpace(string(tail)), "\n")
	text, _ := logged([]byte(lines[len(lines)-1]))
	return text
}

// logged makes one line of a zap log readable; bad tells whether it is an error or worse. A line that is no zap line is text.
func logged(line []byte) (text string, bad bool) {
	var entry struct{ Level, Msg, Error string }
	if err := json.Unmarshal(line, &entry); err != nil {
		return strings.TrimSpace(string(line)), false
	}
	text = entry.Msg
	if entry.Error != "" {
		text += ": " + entry.Error
	}
	return text, entry.Level != "" && !strings.Contains("debug info warn", strings.ToLower(entry.Level))
}
