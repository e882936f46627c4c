package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// print writes the page: what needs a person comes last, where the eye is when the prompt is back.
func (s *statusJSON) print(g *global) error {
	age := func(at time.Time) string { return agoText(s.Time.Sub(at)) }
	var rows [][]string
	row := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	row("cluster", "%s, at %s", orNone(s.Cluster), s.Time.Format(time.RFC3339))
	if h := s.Head; h != nil {
		row("head", "%s", h.Token)
	} else {
		row("head", "none: there is no backup")
	}
	if n := s.Newest; n != nil {
		old := agoText(seconds(n.AgeSeconds))
		if n.AgeSeconds >= 0 {
			old = ageText(seconds(n.AgeSeconds)) + " old"
		}
		row("newest", "%s, %s, revision %d, %d keys, signed by %s", n.ID, old, n.Revision, n.LiveKeys, n.signedBy)
	} else {
		row("newest", "NONE that can be used")
	}
	if v := s.Verified; v != nil {
		row("proven", "%s, by %s %s, %s", v.ID, v.By, age(v.Time), openedWithText(v.OpenedWith))
	} else {
		row("proven", "NONE")
	}
	for i, r := range s.Recipients {
		proven := "never proven"
		if r.Proven != nil {
			proven = "last opened a backup " + age(*r.Proven)
		}
		if len(s.Recipients) == 1 {
			proven += "; the only one: if it is lost, so is every backup"
		}
		row(onlyFirst(i, "recipients"), "%s %s", r.Fingerprint, proven)
	}
	if len(s.Recipients) == 0 && s.Newest != nil {
		row("recipients", "none: anyone who can read the sink reads the backups")
	}
	for i, l := range s.Lineages {
		row(onlyFirst(i, "lineages"), "%s", s.lineageText(i, l))
	}
	for i, k := range s.Sinks {
		row(onlyFirst(i, "sinks"), "%s", k)
	}
	for i, h := range s.Held {
		row(onlyFirst(i, "held"), "%s", strings.TrimSuffix(string(h.ID)+": "+h.Reason, ": "))
	}
	if c := s.CrossCheck; c != nil {
		row("members", "cross-checked %s: %s", age(c.Time), c.Detail)
	} else {
		row("members", "never cross-checked (lifeboat verify --cross-check)")
	}
	if n := len(s.Gaps); n > 0 {
		row("gaps", "%s not here that others follow: pruned, or removed by somebody", plural(n, "backup"))
	}
	for i, text := range s.Attention {
		row(onlyFirst(i, "ATTENTION"), "%s", text)
	}
	return g.table(rows)
}

func onlyFirst(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func openedWithText(fingerprint string) string {
	if fingerprint == "" {
		return "not opened with any key"
	}
	return "opened with key " + fingerprint
}

func (s *statusJSON) lineageText(i int, l lineageJSON) string {
	state := "SUSPECT: " + strings.Join(l.Doubts, "; ")
	if l.Accepted {
		state = "accepted"
	}
	if slices.ContainsFunc(s.Lineages[i+1:], func(other lineageJSON) bool { return other.Accepted }) {
		const over = "over, an accepted one follows"
		if l.Accepted {
			state = over
		} else if !s.freezes(l) {
			state += "; " + over
		}
	}
	if by := s.frozen[string(l.First)]; by != "" {
		state += "; frozen: retention removes nothing of it until the suspect one since " + by + " is decided on"
	}
	return fmt.Sprintf("since %s, %s: %s", l.First, plural(l.Backups, "backup"), state)
}

// shown is how many ids of a list a person is shown.
const shown = 3

func (k sinkStatusJSON) String() string {
	if k.Unread {
		return k.Sink + ": COULD NOT BE READ"
	}
	text := fmt.Sprintf("%s: %s", k.Sink, plural(k.Backups, "backup"))
	if n := len(k.Missing); n > 0 {
		newest := k.Missing[max(0, n-shown):]
		var ids []string
		for _, id := range newest {
			ids = append(ids, string(id))
		}
		more := ""
		if n > shown {
			more = "…, "
		}
		text += fmt.Sprintf("; %d that others have are missing: %s%s", n, more, strings.Join(ids, ", "))
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
