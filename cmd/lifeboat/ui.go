package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// The rules of what a person sees:
//   - data goes to stdout, everything else (plans, progress, warnings, errors) to stderr;
//   - an error is one line `lifeboat: error: …`, each piece of advice a line `lifeboat: hint: …`; no capitals, no full stops;
//   - with --log-format json every line on stderr is a JSON document instead: see log.go;
//   - tables are for eyes, `-o json` is for programs: an additive contract, described in docs/json.md;
//   - a terminal gets a bar with bytes and the time left, everything else a line every ten seconds.

// streams are the process's three standard files, handed down so that a test can run a command in process.
type streams struct {
	in       io.Reader
	out, err io.Writer

	json  bool      // every line to err is a JSON document
	plain io.Writer // then: err as it was
	named bool      // whoever reads err adds the cluster to every line
}

func (s streams) errorf(err error) {
	if s.json {
		s.logger().Error(oneLine(err.Error()), "hints", append([]string{}, hintsOf(err)...))
		return
	}
	fmt.Fprintf(s.err, "lifeboat: error: %s\n", visible(oneLine(err.Error())))
	for _, h := range hintsOf(err) {
		fmt.Fprintf(s.err, "lifeboat: hint: %s\n", visible(h))
	}
}

// oneLine joins what errors.Join puts on lines of their own.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

// visible spells out what a terminal would obey instead of showing it. Names of members, keys and backups are whatever somebody made
// them: a line break or an escape sequence in one of them must not write or hide a line of ours.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsGraphic(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func (s streams) warnf(format string, args ...any) {
	fmt.Fprintf(s.err, "lifeboat: warning: %s\n", visible(oneLine(fmt.Sprintf(format, args...))))
}

// printJSON writes v as indented JSON, the shape behind `-o json`.
func (s streams) printJSON(v any) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table aligns rows of cells for a person; the first row is the heading.
func (s streams) table(rows [][]string) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, visible(cell))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// bytesText says a size as a person would, in binary units.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n), ""
	for _, s := range []string{"KiB", "MiB", "GiB", "TiB"} {
		value /= unit
		suffix = s
		if value < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, suffix)
}

// ageText says how long ago something was, coarse enough to be read at a glance.
func ageText(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// agoText says the same in a sentence, also of what a wrong clock has dated.
func agoText(d time.Duration) string {
	if d < 0 {
		return "dated " + ageText(-d) + " in the future"
	}
	return ageText(d) + " ago"
}

// isTerminal tells whether w is a character device, which is where a bar makes sense.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
