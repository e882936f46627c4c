package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/observe"
)

// labelsOf are the values that a label of a metric has in what an observer shows of these facts.
func labelsOf(t *testing.T, f observe.Facts, metric, label string) (all []string) {
	t.Helper()
	o := newObserver(&global{streams: streams{err: io.Discard}, now: time.Now}, time.Hour)
	o.Replace([]observe.Target{{Cluster: "prod", Read: func(context.Context) (observe.Facts, error) { return f, nil }}})
	go o.Run(t.Context())
	synctest.Wait()
	r := prometheus.NewRegistry()
	r.MustRegister(o)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					all = append(all, l.GetValue())
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestEveryDoubtAndEveryRoleHasASeries holds the closed sets of the catalog to those of the metrics, which know nothing of it: one that only the catalog had
// would be told by nobody.
func TestEveryDoubtAndEveryRoleHasASeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := observe.Facts{Certificates: map[observe.Role]time.Time{}}
		var codes, roles []string
		for _, code := range catalog.DoubtCodes() {
			codes = append(codes, string(code))
		}
		for _, role := range catalog.CertificateRoles() {
			f.Certificates[observe.Role(role)] = time.Now()
			roles = append(roles, string(role))
		}
		slices.Sort(codes)
		slices.Sort(roles)
		if shown := labelsOf(t, f, "lifeboat_suspect_backups", "reason"); !slices.Equal(shown, codes) {
			t.Errorf("doubts are %v, and shown are %v", codes, shown)
		}
		if shown := labelsOf(t, f, "lifeboat_certificate_expiry_timestamp_seconds", "role"); !slices.Equal(shown, roles) {
			t.Errorf("roles are %v, and shown are %v", roles, shown)
		}
	})
}

// TestEveryPhaseOfARehearsalHasASeries reads the names from the source, as no list of them is needed elsewhere.
func TestEveryPhaseOfARehearsalHasASeries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../restore/rehearsal/*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"fetch": true, "open": true, "verify": true, "make-directories": true} // by variables
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.phase\("([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			named[m[1]] = true
		}
	}
	if len(named) < 11 {
		t.Errorf("only these were found: %v", named)
	}
	for name := range named {
		if observe.PhaseOf(name) != name {
			t.Errorf("the phase %s is shown as %s", name, observe.PhaseOf(name))
		}
	}
}
