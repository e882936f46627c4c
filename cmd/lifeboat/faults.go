package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// faultJSON is a copy that is not whole.
type faultJSON struct {
	Sink string `json:"sink"`
	What string `json:"what"`
}

func newFaultsJSON(e catalog.Entry) []faultJSON {
	all := []faultJSON{}
	for _, f := range e.Faults() {
		all = append(all, faultJSON(f))
	}
	return all
}

// faultText says in one cell what is known to be wrong with the copies of a backup; "" if nothing is.
func faultText(e catalog.Entry) string {
	var all []string
	for _, f := range e.Faults() {
		all = append(all, f.What+" in "+f.Sink)
	}
	text := strings.Join(all, ", ")
	switch why := e.Broken(); {
	case why == "":
		return text
	case text == "":
		return why
	case e.Lost() != "":
		return "NO WHOLE COPY: " + text
	default:
		return why + ", " + text
	}
}

// faults tells what is wrong with copies, for each sink and kind on one line: somebody may have emptied a sink of a year's backups.
func (s *statusJSON) faults(l catalog.Listing) {
	type kind struct{ sink, what string }
	type group struct {
		ids  []catalog.ID
		last string // in full
	}
	all := make(map[kind]*group)
	var order []kind
	for _, e := range l.Entries {
		for _, f := range e.Faults() {
			s.Faults = append(s.Faults, faultOfJSON{e.ID, f.Sink, f.What})
			what, _, _ := strings.Cut(f.What, ":") // without what differs from one to the other
			what, _, _ = strings.Cut(what, " at ")
			k := kind{f.Sink, what}
			if all[k] == nil {
				all[k] = &group{}
				order = append(order, k)
			}
			all[k].ids, all[k].last = append(all[k].ids, e.ID), f.What
		}
	}
	for _, k := range order {
		of := all[k]
		if n := len(of.ids); n > 1 {
			s.attention("copies", "%s in %s: %d backups, from %s to %s", k.what, k.sink, n, of.ids[0], of.ids[n-1])
		} else {
			s.attention("copies", "%s in %s: %s", of.last, k.sink, of.ids[0])
		}
	}
	for _, e := range l.Entries[max(0, len(l.Entries)-1):] {
		if e.Lost() == "" && e.Broken() != "" {
			s.attention("broken", "do not rely on the newest backup, %s: %s", e.ID, e.Broken())
		}
	}
	if len(order) > 0 {
		s.attention("copies", "what is missing or damaged in one sink and whole in another: lifeboat copy makes up for what is missing; where no sink has a whole copy, take a new backup, and find out what removed or damaged it")
	}
}

// passOver tells that the backup that `latest` means is lost, and which one is the newest that is not.
func (s *statusJSON) passOver(latest, usable catalog.Entry) {
	if latest.ID != "" && latest.ID != usable.ID && usable.ID != "" {
		s.attention("lost", "the newest backup, %s, which `latest` means, cannot be restored: %s; the newest that may be whole is %s", latest.ID, latest.Lost(), usable.ID)
	}
}

// tellFaults warns, before anything is fetched, of what is known to be wrong with the backup that was asked for.
func (g *global) tellFaults(ctx context.Context, b *bucket, l catalog.Listing, e catalog.Entry) {
	about := faultText(e)
	if about == "" {
		return
	}
	instead := "no other is proven: try another by its id, if `lifeboat list` shows one, and take a new one, if etcd still serves"
	if v, _, err := l.Resolve("latest-verified", g.now()); err == nil && v.ID != e.ID {
		if v.FindPayload(ctx, b.sinks); v.Lost() == "" {
			instead = fmt.Sprintf("latest-verified is %s", v.ID)
		}
	}
	if e.Broken() == "" && len(e.Faults()) < len(e.Sinks) {
		g.warnf("%s: %s; another sink's copy is taken if that is so still", e.ID, about)
		return
	}
	g.warnf("%s: %s; %s", e.ID, about, instead)
}

// many is how many problems of a kind are told one by one.
const many = 5

// tellProblems warns of what could not be read or trusted: what is unsigned in one line, and of many alike the first.
func (g streams) tellProblems(problems []*catalog.Problem) {
	type kind struct{ sink, what string }
	of := func(p *catalog.Problem) kind {
		text := p.Error()
		for _, part := range []string{p.Key, string(p.ID)} {
			if part != "" {
				text = strings.ReplaceAll(text, part, "…")
			}
		}
		return kind{p.Sink, text}
	}
	alike := make(map[kind][]catalog.ID)
	var unsigned []catalog.ID
	for _, p := range problems {
		if catalog.Unsigned(p) {
			unsigned = append(unsigned, p.ID)
			continue
		}
		alike[of(p)] = append(alike[of(p)], p.ID)
	}
	told := make(map[kind]bool)
	for _, p := range problems {
		k := of(p)
		switch n := len(alike[k]); {
		case catalog.Unsigned(p), told[k]:
		case n > many:
			told[k] = true
			slices.Sort(alike[k])
			g.warnf("%v; and so it is with %d more, up to %s", p, n-1, alike[k][n-1])
		default:
			g.warnf("%v", p)
		}
	}
	slices.Sort(unsigned)
	switch unsigned = slices.Compact(unsigned); len(unsigned) {
	case 0:
	case 1:
		g.warnf("backup %s is unsigned, and there are trusted keys: --accept-unsigned opens it", unsigned[0])
	default:
		g.warnf("%d backups are unsigned, and there are trusted keys (from %s to %s): --accept-unsigned opens them", len(unsigned), unsigned[0], unsigned[len(unsigned)-1])
	}
}
