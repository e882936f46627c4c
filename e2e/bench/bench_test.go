package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{5, 5, 1, 9, 7}, 5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestDatabasesAreReadFromAList(t *testing.T) {
	got, err := parseDatabases("256,2048-half,6144,64")
	if err != nil {
		t.Fatal(err)
	}
	want := []database{{mib: 256}, {mib: 2048, half: true}, {mib: 6144}, {mib: 64}}
	names := []string{"0.25 GiB", "2 GiB, half of it free", "6 GiB", "64 MiB"}
	for i, d := range got {
		if d != want[i] || d.String() != names[i] {
			t.Errorf("number %d is %+v, called %s; want %+v, called %s", i, d, d, want[i], names[i])
		}
	}
	for _, bad := range []string{"", "0", "-5", "2GiB", "256,", "half", "256-"} {
		if all, err := parseDatabases(bad); err == nil {
			t.Errorf("%q is read as %v", bad, all)
		}
	}
}

func TestReadBackIsApartOnlyWhereNothingElseRan(t *testing.T) {
	for _, c := range []struct {
		name       string
		timings    []timing
		all, alone float64
	}{
		{name: "none told"},
		{"one after the other", []timing{{"save", 0, 4}, {"inspect", 4, 2}, {"upload", 6, 1}, {"read-back", 7, 3}, {"commit", 10, 1}}, 3, 3},
		{"begun during the inspection", []timing{{"save", 0, 4}, {"inspect", 4, 4}, {"upload", 4, 1}, {"read-back", 5, 5}, {"commit", 10, 1}}, 5, 2},
		{"hidden by the inspection", []timing{{"inspect", 4, 9}, {"read-back", 5, 5}}, 5, 0},
		{"around another", []timing{{"upload", 3, 2}, {"read-back", 1, 9}}, 9, 7},
		{"of two sinks at once", []timing{{"upload", 0, 2}, {"upload", 0, 5}, {"read-back", 2, 6}, {"read-back", 5, 2}}, 6, 3},
		{"with a pause", []timing{{"read-back", 0, 1}, {"commit", 1, 1}, {"read-back", 3, 2}}, 3, 3},
	} {
		all, alone := during(c.timings, readBack)
		if math.Abs(all-c.all) > 1e-9 || math.Abs(alone-c.alone) > 1e-9 {
			t.Errorf("%s: %v s, %v s alone; want %v and %v", c.name, all, alone, c.all, c.alone)
		}
	}
}

func TestTimingsAreReadFromWhatABackupPrints(t *testing.T) {
	got, err := parseTaken([]byte(`{"id": "x", "live_keys": 42, "seconds": {"save": 1}, "timings": [{"phase": "save", "began_seconds": 0.25, "seconds": 1.5}]}`))
	if err != nil || got.LiveKeys != 42 || len(got.Timings) != 1 || got.Timings[0] != (timing{"save", 0.25, 1.5}) {
		t.Errorf("read %+v, %v", got, err)
	}
	if _, err := parseTaken(nil); err == nil {
		t.Error("nothing is read as something")
	}
}

func TestALimitSaysWhetherItIsKept(t *testing.T) {
	for _, c := range []struct {
		limit limit
		want  string
	}{
		{limit{what: "a", most: 1.25, measured: 1.25}, "a: limit 1.25, measured 1.25: ok"},
		{limit{what: "a", most: 1.25, measured: 1.2512}, "a: limit 1.25, measured 1.251: MISSED"},
		{limit{what: "a", most: 150, measured: 48, unit: " MB"}, "a: limit 150 MB, measured 48 MB: ok"},
		{limit{what: "a", most: 10, measured: -3, unit: " MB"}, "a: limit 10 MB, measured -3 MB: ok"},
		{limit{what: "a", most: 0.4, measured: math.NaN()}, "a: limit 0.4, measured NaN: MISSED"},
		{limit{what: "a", most: 0.4, measured: 2, apart: true}, "a: limit 0.4, measured 2: not promised below 2048 MiB"},
	} {
		if got := c.limit.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// ran is a result of so many seconds of wall time, so many of them only read-back, and of so many MB in main.
func ran(wall, alone, mb float64) result {
	return result{
		Usage:    peak.Usage{Wall: time.Duration(wall * float64(time.Second)), Anon: map[string]int64{"main": int64(mb * 1e6), "inspect": 20e6}},
		readBack: alone, readBackOnly: alone, keys: 2e6,
	}
}

func measured(d database, dbGiB int64, ours []result, save, restored float64) *outcome {
	return &outcome{database: d, dbSize: dbGiB << 30, inUse: dbGiB << 30, contests: []*contest{
		{
			name: backupDir, title: "backup to a directory", results: [][]result{ours, {ran(save, 0, 1)}},
			ways: []way{{name: "lifeboat backup", ours: true}, {name: "save"}},
		},
		{name: machine, title: "the machine", results: [][]result{{ran(2, 0, 0)}}, ways: []way{{name: "cp"}}},
		{
			name: restoreThree, title: "restore of three members", results: [][]result{{ran(restored, 0, 60)}, {ran(10, 0, 1)}},
			ways: []way{{name: "lifeboat restore", ours: true}, {name: "etcdutl"}},
		},
	}}
}

func TestDatabasesAreHeldToTheLimits(t *testing.T) {
	small := measured(database{mib: 256}, 1, []result{ran(9, 0, 50)}, 1, 1)
	half := measured(database{mib: 2048, half: true}, 2, []result{ran(9, 0, 500)}, 1, 9)
	two := measured(database{mib: 2048}, 2, []result{ran(14, 4, 50), ran(90, 80, 55), ran(11, 1, 50)}, 8, 4)
	six := measured(database{mib: 6144}, 6, []result{ran(40, 4, 66)}, 30, 15)
	six.contests[0].results[0][0].CPU = 33 * time.Second
	for i := range two.contests[0].results[0] {
		two.contests[0].results[0][i].CPU = 10 * time.Second
	}
	var got []string
	for _, l := range checkDatabases([]*outcome{small, two, half, six}) {
		got = append(got, l.String())
	}
	want := []string{
		"0.25 GiB, backup to a directory / save: limit 1.25, measured 9: not promised below 2048 MiB",
		"0.25 GiB, restore of three members / etcdutl: limit 0.4, measured 0.1: not promised below 2048 MiB",
		"0.25 GiB, backup to a directory, memory of main: limit 150 MB, measured 50 MB: ok",
		"0.25 GiB, restore of three members, memory of main: limit 150 MB, measured 60 MB: ok",
		"2 GiB, backup to a directory / save: limit 1.25, measured 1.25: ok",
		"2 GiB, restore of three members / etcdutl: limit 0.4, measured 0.4: ok",
		"2 GiB, backup to a directory, memory of main: limit 150 MB, measured 55 MB: ok",
		"2 GiB, restore of three members, memory of main: limit 150 MB, measured 60 MB: ok",
		"2 GiB, half of it free, backup to a directory / save: limit 1.25, measured 9: MISSED",
		"2 GiB, half of it free, restore of three members / etcdutl: limit 0.4, measured 0.9: MISSED",
		"2 GiB, half of it free, backup to a directory, memory of main: limit 150 MB, measured 500 MB: MISSED",
		"2 GiB, half of it free, restore of three members, memory of main: limit 150 MB, measured 60 MB: ok",
		"6 GiB, backup to a directory / save: limit 1.25, measured 1.2: ok",
		"6 GiB, restore of three members / etcdutl: limit 0.4, measured 1.5: MISSED",
		"6 GiB, backup to a directory, memory of main: limit 150 MB, measured 66 MB: ok",
		"6 GiB, restore of three members, memory of main: limit 150 MB, measured 60 MB: ok",
		"backup to a directory, growth of main's memory from 0.25 GiB to 6 GiB: limit 10 MB, measured 16 MB: MISSED",
		"restore of three members, growth of main's memory from 0.25 GiB to 6 GiB: limit 10 MB, measured 0 MB: ok",
		"backup to a directory, wall time per GiB at 6 GiB / at 2 GiB (of save 1.25): limit 1.15, measured 0.9524: ok",
		"backup to a directory, wall time without read-back per GiB at 6 GiB / at 2 GiB (of save 1.25): limit 1.15, measured 1.2: MISSED",
		"backup to a directory, wall time without read-back per GiB at 6 GiB / at 2 GiB, divided by that of save: limit 1.15, measured 0.96: ok",
		"backup to a directory, Lifeboat's CPU per GiB at 6 GiB / at 2 GiB: limit 1.15, measured 1.1: ok",
		"restore of three members, wall time per GiB at 6 GiB / at 2 GiB (of etcdutl 0.333): limit 1.15, measured 1.25: MISSED",
		"restore of three members, Lifeboat's CPU per GiB at 6 GiB / at 2 GiB: limit 1.15, measured NaN: MISSED",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	unseen := measured(database{mib: 2048}, 2, []result{ran(9, 0, 50), ran(9, 0, 0)}, 8, 3)
	if told := checkDatabases([]*outcome{unseen})[2].String(); told != "2 GiB, backup to a directory, memory of main: limit 150 MB, measured NaN MB: MISSED" {
		t.Errorf("of memory that one run did not tell: %s", told)
	}
	slow := measured(database{mib: 6144}, 6, []result{ran(40, 4, 66)}, 24, 15)
	if told := checkGrowth([]*outcome{two, slow})[4].String(); told != "backup to a directory, wall time without read-back per GiB at 6 GiB / at 2 GiB, divided by that of save: limit 1.15, measured 1.2: MISSED" {
		t.Errorf("of a backup that grows more than a save: %s", told)
	}
	if got := checkGrowth([]*outcome{two, half}); got != nil {
		t.Errorf("growth is told of one database: %v", got)
	}
}

func TestTheTableIsMarkdown(t *testing.T) {
	o := measured(database{mib: 2048}, 2, []result{ran(14, 4, 50), ran(90, 80, 55), ran(11, 1, 50)}, 8, 4)
	for i := range o.contests[0].results[0] {
		r := &o.contests[0].results[0][i]
		r.stored, r.Written, r.CPU = 300<<20, 2400<<20, 20*time.Second
		r.beside = map[string]time.Duration{"etcd": 7 * time.Second, "MinIO": 0, theRest: time.Second}
	}
	var out strings.Builder
	out.WriteString(tableHead)
	o.rows(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		if n := strings.Count(line, "|") - strings.Count(line, `\|`); n != 12 || !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") {
			t.Errorf("%d bars: %s", n, line)
		}
	}
	for _, want := range []string{
		"| lifeboat backup | 14.00 | 11.00 – 90.00 | 10.00 | 4.00 | 20.00 | etcd 7.0, the rest 1.0 | – | 300 | 2400 | inspect 19, main 52 |",
		"| save | 8.00 | 8.00 – 8.00 | – | – | 0.00 | – | 1.25 (1.75) | 0 | 0 | inspect 19 |",
		"| cp | 2.00 | 2.00 – 2.00 | – | – | 0.00 | – | – | 0 | 0 | inspect 19 |",
		"| etcdutl | 10.00 | 10.00 – 10.00 | – | – | 0.00 | – | 0.40 | 0 | 0 | inspect 19 |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("there is no row %s in\n%s", want, out.String())
		}
	}
	out.Reset()
	reportMachine(&out, []*outcome{o})
	if want := "| 2 GiB | backup to a directory | 5.00 |\n| 2 GiB | restore of three members | 2.00 |\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("want %s at the end of\n%s", want, out.String())
	}
	out.Reset()
	reportChildren(&out, []*outcome{o})
	if want := "takes 20.0 MB at most for 2.00 million keys, 10.0 MB per million"; !strings.Contains(out.String(), want) {
		t.Errorf("want %q in %s", want, out.String())
	}
}

func TestTheWatchCountsJobsThatEnded(t *testing.T) {
	over := 0
	w := &jobWatch{waitsFor: 3, began: time.Now().Add(-time.Second), over: func() { over++ }}
	for _, part := range []string{
		"level=INFO msg=serving\nlevel=INFO msg=\"job begins\"\nlevel=INFO msg=\"job do", "ne\" code=0\n",
		"level=ERROR msg=\"job failed\" err=x\nlevel=INFO msg=\"job done\"\n", "level=INFO msg=\"job done\"\n",
	} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if w.done != 3 || w.ended != 4 || over != 1 || w.took < time.Second || w.trouble.String() != "level=ERROR msg=\"job failed\" err=x\n" {
		t.Errorf("%d done of %d that ended, over %d times, after %v, trouble %q", w.done, w.ended, over, w.took, w.trouble.String())
	}
}

func TestAFileIsHashed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said, complained strings.Builder
	if code := hashFile(t.Context(), []string{file}, nil, &said, &complained); code != 0 || said.String() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n" {
		t.Errorf("exit %d, %s, %s", code, said.String(), complained.String())
	}
	if code := hashFile(t.Context(), []string{file + "x"}, nil, &said, &complained); code != 1 || complained.Len() == 0 {
		t.Errorf("a file that is not there is hashed: exit %d", code)
	}
}

func TestFreeMemoryInLargeBlocksIsCounted(t *testing.T) {
	const text = "Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3 \n" +
		"Node 0, zone   Normal  33276  48968  41309  29246  22493  15002   8777   4540   2482    715    803 \n"
	got, err := parseBuddyInfo(text, 4096)
	if want := int64(1+715)<<21 + int64(3+803)<<22; err != nil || got != want {
		t.Errorf("%d bytes (%v), want %d", got, err, want)
	}
	for _, bad := range []string{"Node 0\n", "Node 0, zone DMA\n", "Node 0, zone DMA 1 x\n"} {
		if n, err := parseBuddyInfo(bad, 4096); err == nil {
			t.Errorf("%q is read as %d bytes", bad, n)
		}
	}
}
