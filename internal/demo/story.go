package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// width is how long a command or a heading may be.
const width = 110

// A story prints what happens as it happens: numbered steps with the time since the beginning, and what each did.
type story struct {
	w     io.Writer
	began time.Time
	steps int
	err   error // the first failed write; later ones are not tried
}

func (s *story) print(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}

// step begins the next one.
func (s *story) step(title string) {
	s.steps++
	at := fmt.Sprintf("%.1f s", time.Since(s.began).Seconds())
	s.print("\n%d. %s%*s", s.steps, title, max(width-len(title)-3, len(at)+1), at)
}

// say tells what was done.
func (s *story) say(format string, args ...any) {
	s.print("%s", strings.TrimRight("   "+fmt.Sprintf(format, args...), " "))
}

// table tells several lines that something else writes.
func (s *story) table(write func(w io.Writer) error) error {
	var text strings.Builder
	if err := write(&text); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		s.say("%s", strings.TrimRight(line, " \n"))
	}
	return nil
}

// command shows what one would type for what happens next, over several lines if it is long.
func (s *story) command(format string, args ...any) {
	line := "   $"
	for _, part := range strings.Split(fmt.Sprintf(format, args...), " --") {
		if line != "   $" {
			part = "--" + part
		}
		if len(line)+len(part) > width-3 {
			s.print("%s \\", line)
			line = "      "
		}
		line += " " + part
	}
	s.print("%s", line)
}

// grouped writes a number with commas, as 20,480.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), ",")
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
