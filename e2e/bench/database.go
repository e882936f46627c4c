package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A database is one that is generated for the run.
type database struct {
	mib  int64
	half bool // half its pages are free
}

// parseDatabases reads a list such as 256,2048,2048-half.
func parseDatabases(text string) (all []database, err error) {
	for _, word := range strings.Split(text, ",") {
		number, half := strings.CutSuffix(word, "-half")
		mib, err := strconv.ParseInt(number, 10, 64)
		if err != nil || mib < 1 {
			return nil, fmt.Errorf("%q is no size in MiB", word)
		}
		all = append(all, database{mib: mib, half: half})
	}
	return all, nil
}

func (d database) String() string {
	text := fmt.Sprintf("%d MiB", d.mib)
	if d.mib >= 1024 || d.mib%256 == 0 {
		text = strconv.FormatFloat(float64(d.mib)/1024, 'g', 4, 64) + " GiB"
	}
	if d.half {
		text += ", half of it free"
	}
	return text
}
