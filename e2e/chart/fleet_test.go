package chart

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

const fleetSize = 50

// fleet writes values for fleetSize clusters.
func fleet(t testing.TB) string {
	t.Helper()
	text := "sink: s3://backups/etcd?region=eu-central-1\nrecipient: " + three[len(three)-1][len("recipient="):] + "\nidentity: {secretName: identity}\nclusters:\n"
	for i := range fleetSize {
		text += fmt.Sprintf("  - name: cluster-%02d\n    endpoints: [https://10.0.%d.5:2379, https://10.0.%d.6:2379]\n    etcdTLS: {secretName: etcd-%02d}\n", i, i, i, i)
	}
	file := filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var firstMinute = regexp.MustCompile(`^(\d+)\D`)

// TestFiftyClustersDoNotStartTogether looks at the minutes of fifty clusters: by a schedule of every 15 minutes, and by those of once a night.
func TestFiftyClustersDoNotStartTogether(t *testing.T) {
	t.Parallel()
	values := fleet(t)
	minutes := map[string][]int{}
	all := rendered(t, "--values", values)
	for _, o := range ofKind(all, "CronJob") {
		m := firstMinute.FindStringSubmatch(o.Spec.Schedule)
		if m == nil {
			t.Fatalf("%s has the schedule %q", o.Metadata.Name, o.Spec.Schedule)
		}
		at, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		minutes[o.component()] = append(minutes[o.component()], at)
	}
	if len(minutes) != 5 {
		t.Errorf("jobs: %v", minutes)
	}
	for job, some := range minutes {
		if len(some) != fleetSize {
			t.Errorf("%d CronJobs for %s", len(some), job)
		}
		count := map[int]int{}
		most := 0
		for _, m := range some {
			count[m]++
			most = max(most, count[m])
		}
		slots, least, limit := 60, 25, 5 // fifty thrown at sixty minutes by chance fall on 34 of them
		if job == "backup" {
			slots, least, limit = 15, 13, 8
		}
		lab.Report(t, "%s of %d clusters begins at %d of %d minutes, at most %d at one", job, fleetSize, len(count), slots, most)
		if len(count) < least || most > limit || slices.Max(some) >= slots {
			t.Errorf("%s begins at minutes %v", job, some)
		}
	}
	for i, o := range rendered(t, "--values", values) {
		if all[i].text != o.text {
			t.Fatalf("%s is rendered otherwise the next time", o.Metadata.Name)
		}
	}
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// TestNamesOfClustersThatLookAlikeStayApart gives the chart names that are long, or the same once they are what Kubernetes wants.
func TestNamesOfClustersThatLookAlikeStayApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a-rather-long-name-", 3)
	names := []string{
		"prod", "Prod", "PROD", "a.b", "a_b", "a-b", "A-b", long + "one", long + "two", long[:39] + "x", long[:39], "x-verify", "x", "9",
	}
	args := slices.Concat(three[2:], []string{"--set", "identity.secretName=identity", "--set", "fullnameOverride=" + strings.Repeat("release", 6)})
	for i, n := range names {
		label := strings.ReplaceAll(n, ".", `\.`)
		args = append(args, "--set-string", fmt.Sprintf("clusters[%d].name=%s", i, label), "--set", fmt.Sprintf("clusters[%d].endpoints={https://x:2379,https://y:2379}", i))
	}
	seen := map[string]string{}
	for _, o := range rendered(t, args...) {
		cluster := o.Metadata.Labels["lifeboat/cluster"]
		if cluster == "" {
			continue
		}
		what := cluster + " " + o.component()
		if other, taken := seen[o.Metadata.Name]; taken {
			t.Errorf("%s and %s are both called %s", other, what, o.Metadata.Name)
		}
		seen[o.Metadata.Name] = what
		if len(o.Metadata.Name) > 52 || !dnsLabel.MatchString(o.Metadata.Name) || !strings.HasSuffix(o.Metadata.Name, o.component()) {
			t.Errorf("%s is called %s", what, o.Metadata.Name)
		}
	}
	if want := len(names) * 6; len(seen) != want { // five jobs, and doctor
		t.Errorf("%d names, want %d", len(seen), want)
	}
}

// TestAnHIsANumberOfItsField renders schedules with H for eight clusters each, with and without one.
func TestAnHIsANumberOfItsField(t *testing.T) {
	t.Parallel()
	shapes := map[string]string{
		"H * * * *":              `^[1-5]?\d \* \* \* \*$`,
		"H/20 * * * *":           `^1?\d-59/20 \* \* \* \*$`,
		"H(10-12) H(1-4) * * 0":  `^1[0-2] [1-4] \* \* 0$`,
		"0 H/6 * * MON-FRI":      `^0 [0-5]-23/6 \* \* MON-FRI$`,
		"H H 1 * *":              `^[1-5]?\d (1?\d|2[0-3]) 1 \* \*$`,
		"5 4 * * *":              `^5 4 \* \* \*$`,
		"@every 90m":             `^@every 90m$`,
		"*/15  1-5,22  *  * 1-5": `^\*/15 1-5,22 \* \* 1-5$`,
	}
	schedules := slices.Sorted(maps.Keys(shapes))
	values := "prune: {enabled: false}\nverify: {enabled: false}\nclusters:\n"
	for i, schedule := range schedules {
		for n := range 8 {
			values += fmt.Sprintf("  - {name: c%d.%d, endpoints: [\"https://x:2379\"], backup: {schedule: %q}}\n", i, n, schedule)
		}
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]bool{}
	for _, o := range ofKind(rendered(t, append(three[2:], "--values", file)...), "CronJob") {
		i, err := strconv.Atoi(o.Metadata.Labels["lifeboat/cluster"][1:2])
		if err != nil {
			t.Fatal(err)
		}
		schedule := schedules[i]
		if got[schedule] == nil {
			got[schedule] = map[string]bool{}
		}
		got[schedule][o.Spec.Schedule] = true
		if !regexp.MustCompile(shapes[schedule]).MatchString(o.Spec.Schedule) {
			t.Errorf("%s became %s", schedule, o.Spec.Schedule)
		}
	}
	for _, schedule := range schedules {
		if spread := len(got[schedule]) > 1; len(got[schedule]) == 0 || spread != strings.Contains(schedule, "H") {
			t.Errorf("%s became %v", schedule, got[schedule])
		}
	}
}
