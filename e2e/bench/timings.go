package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// taken is what counts here of what `lifeboat backup -o json` prints.
type taken struct {
	LiveKeys int64    `json:"live_keys"`
	Timings  []timing `json:"timings"`
}

// timing is one phase of a backup, in seconds since its start. Phases may overlap, and one may come several times.
type timing struct {
	Phase   string  `json:"phase"`
	Began   float64 `json:"began_seconds"`
	Seconds float64 `json:"seconds"`
}

const readBack = "read-back"

func parseTaken(stdout []byte) (t taken, err error) {
	if err := json.Unmarshal(stdout, &t); err != nil {
		return t, fmt.Errorf("what lifeboat backup printed: %w", err)
	}
	return t, nil
}

// during is for how many seconds a phase ran, and for how many of them no other did.
func during(timings []timing, phase string) (all, alone float64) {
	var bounds []float64
	for _, t := range timings {
		bounds = append(bounds, t.Began, t.Began+t.Seconds)
	}
	slices.Sort(bounds)
	for i := 1; i < len(bounds); i++ {
		from, to := bounds[i-1], bounds[i]
		runs, others := false, false
		for _, t := range timings {
			if t.Began <= from && t.Began+t.Seconds >= to {
				runs = runs || t.Phase == phase
				others = others || t.Phase != phase
			}
		}
		if runs {
			all += to - from
		}
		if runs && !others {
			alone += to - from
		}
	}
	return all, alone
}
