package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// reportOf is what was found out about the copies of one backup; not ok if that is nothing. A copy that could not be read is neither
// whole nor damaged, and says nothing.
func reportOf(results []verifiedJSON, deep bool) (r catalog.Report, ok bool) {
	r = catalog.Report{Report: catalog.ReportVerify, OK: true, Deep: deep}
	var bad []string
	for _, v := range results {
		noKey := errors.As(v.err, new(*crypto.NoIdentityError))
		switch {
		case v.Absent:
			continue
		case noKey: // the digest is looked at before it is opened
			r.Deep, r.Unopened = false, true
		case v.OK:
			r.OpenedWith = v.OpenedWith
		case damaged(v.err):
			r.OK = false
			bad = append(bad, v.Sink+": "+v.Error)
		default:
			continue
		}
		r.Sinks = append(r.Sinks, catalog.SinkResult{Sink: v.Sink, OK: v.OK || noKey, Error: v.Error})
	}
	switch {
	case !r.OK:
		r.Detail = strings.Join(bad, "; ")
	case r.Unopened:
		r.Detail = "its digest is right in every sink that was read; no identity at hand opens it"
	case r.Deep:
		r.Detail = "opened, checked and compared with the manifest in every sink that was read"
	default:
		r.Detail = "its digest is right in every sink that was read"
	}
	return r, len(r.Sinks) > 0
}

// damaged reports whether an error says that bytes are not what was written.
func damaged(err error) bool {
	return errors.Is(err, crypto.ErrDamaged) || errors.Is(err, catalog.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged)
}

// notWhole is what a verification found to be damaged, where nothing below has advice.
type notWhole struct{ error }

func (e notWhole) Unwrap() error { return e.error }

func (e notWhole) Hint() string {
	return "restore takes another sink's copy where one is whole; take a new backup, and find out what damaged this one"
}

// verdict is the error of a run, with advice.
func (v *verification) verdict(ctx context.Context, results []verifiedJSON) error {
	err := v.heaviest(ctx, results)
	if damaged(err) && len(hintsOf(err)) == 0 {
		return notWhole{err}
	}
	return err
}

// heaviest is of several errors the one that weighs most.
func (v *verification) heaviest(ctx context.Context, results []verifiedJSON) error {
	var failed []error
	for _, r := range results {
		if r.err != nil {
			failed = append(failed, r.err)
		}
	}
	for _, s := range v.b.sinks {
		if err := v.unread[s.Name]; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	weight := func(err error) int {
		order := []int{exitNotAuthentic, exitRefused, exitDamaged, exitNoKey, exitNoBackup, exitSink}
		if i := slices.Index(order, exitCode(ctx, err)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(failed, func(a, b error) int { return cmp.Compare(weight(a), weight(b)) })
	return fmt.Errorf("%d copies or sinks are not as they should be, first: %w", len(failed), failed[0])
}

func (f *verifyFlags) print(g *global, results []verifiedJSON) error {
	if f.output == "json" {
		return g.printJSON(results)
	}
	rows := [][]string{{"BACKUP", "SINK", "RESULT"}}
	for _, v := range results {
		result := "whole"
		switch {
		case v.Absent:
			result = "not there: this sink has no manifest of it"
		case errors.As(v.err, new(*crypto.NoIdentityError)):
			result = "NOT OPENED: " + v.Error
		case !v.OK && !damaged(v.err) && !errors.Is(v.err, catalog.ErrNotAuthentic):
			result = "NOT CHECKED: " + v.Error
		case !v.OK:
			result = "FAILED: " + v.Error
		case v.Deep:
			result = "whole; opened, checked and compared with the manifest"
		}
		rows = append(rows, []string{string(v.ID), v.Sink, result})
	}
	return g.table(rows)
}
