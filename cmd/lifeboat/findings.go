package main

import (
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// findings are what is wrong with many parts of a configuration. What many have in common is told once.
type findings struct {
	found []mistake
	told  map[string]int // by what is wrong: its place in found
	alike []int
}

// add takes apart what is wrong with one of them.
func (x *findings) add(where string, err error) {
	seen := map[string]bool{}
	for _, e := range parts(err) {
		text := e.Error()
		at, known := x.told[text]
		switch {
		case seen[text]:
		case known:
			x.alike[at]++
		default:
			if x.told == nil {
				x.told = map[string]int{}
			}
			x.told[text] = len(x.found)
			x.found, x.alike = append(x.found, mistake{where, e}), append(x.alike, 0)
		}
		seen[text] = true
	}
}

// mistakes are what was found; of what may mend itself it only warns.
func (x *findings) mistakes(g *global) (all []error) {
	for i, m := range x.found {
		if n := x.alike[i]; n > 0 {
			m.where += fmt.Sprintf(" and %d more", n)
		}
		if errors.Is(m.error, sinks.ErrNoBucket) {
			g.warnf("%s", oneLine(m.Error()))
			continue
		}
		all = append(all, m)
	}
	return all
}

// complete reports whether all that the cluster names is in the file; if not, that is told already.
func (c *configFile) complete(k *clusterConfig) bool {
	for _, name := range k.Sinks {
		if c.Sinks[name].URL == "" {
			return false
		}
	}
	return k.Name != ""
}

// parts takes apart what errors.Join put together, and nothing else.
func parts(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case !ok, errors.Join(joined.Unwrap()...).Error() != err.Error():
		all = []error{err}
	default:
		for _, e := range joined.Unwrap() {
			all = append(all, parts(e)...)
		}
	}
	return all
}
