package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// parseSample reads a share such as 10% or 2.5%, as a number between 0 and 1.
func parseSample(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(share > 0 && share <= 100) { // NaN is neither
		return 0, &usageError{fmt.Sprintf("--sample %.40q is not a share of the backups", text), "write it like 10%: more than 0%, and 100% at most"}
	}
	return share / 100, nil
}

// sample picks a share of the backups, at least one: those whose last verification is the longest ago, and before them those that
// never had one. So N runs with 1/N each look at every backup once.
func sample(entries []catalog.Entry, share float64, deep bool) []catalog.Entry {
	last := func(e catalog.Entry) (at time.Time) {
		for _, r := range e.Reports {
			if r.Report == catalog.ReportVerify && (!deep || r.Deep || r.Unopened) && r.Made().After(at) {
				at = r.Made()
			}
		}
		return at
	}
	picked := slices.Clone(entries)
	slices.SortStableFunc(picked, func(a, b catalog.Entry) int { return last(a).Compare(last(b)) })
	n := int(math.Ceil(share*float64(len(entries)) - 1e-9)) // 0.1 × 10 is a little more than 1
	picked = picked[:min(max(n, 1), len(entries))]
	slices.SortFunc(picked, func(a, b catalog.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return picked
}
