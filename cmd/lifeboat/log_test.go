package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// records reads a log of JSON documents, and fails where a line is none with a time, a level and a message.
func records(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(r["time"])); err != nil || at.Location() != time.UTC || r["level"] == nil || r["msg"] == nil {
			t.Errorf("%q has no time in UTC, level or message: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

func TestWhatIsWrongWithACommandIsALineOfTheLogWhereverItsFormatIsNamed(t *testing.T) {
	for _, args := range [][]string{
		{"--log-format", "json", "backup", "--no-such-flag"},
		{"backup", "--no-such-flag", "--log-format=json"},
		{"verify", "latest", "-o", "yaml", "--log-format", "json"},
		{"bakcup", "--log-format", "json"},
		{"show", "--log-format", "json", "--deep"},
		{"run", "--log-format=json"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errs})
		all := records(t, errs.String())
		if code != exitUsage || len(all) != 1 || all[0]["level"] != "ERROR" || len(all[0]["hints"].([]any)) != 1 {
			t.Errorf("%q: exit %d\n%s", args, code, &errs)
		}
	}
	t.Setenv("LIFEBOAT_LOG_FORMAT", "json")
	for format, want := range map[string]bool{"": true, "--log-format=text": false} {
		var errs bytes.Buffer
		run(t.Context(), strings.Fields("list "+format), streams{out: io.Discard, err: &errs})
		if got := strings.HasPrefix(errs.String(), "{"); got != want {
			t.Errorf("with %q and the variable it says %s", format, &errs)
		}
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"version", "--log-format", "xml"}, streams{out: io.Discard, err: &errs}); code != exitUsage || !strings.Contains(errs.String(), "is not a format") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}

func TestTheFormatOfTheLogOfAnotherCommandIsItsOwn(t *testing.T) {
	s, _ := streams{err: io.Discard}.logged([]string{"guard", "--", "other", "--log-format", "json"}, func(string) (string, bool) { return "", false })
	if s.json {
		t.Error("what follows -- was taken for our own")
	}
}

func TestEveryLineForPeopleBecomesADocument(t *testing.T) {
	var all bytes.Buffer
	s, flush := streams{err: &all}.logged([]string{"--log-format", "json"}, nil)
	g := &global{streams: s}
	g.warnf("a %s", "tab\tin it")
	g.errorf(errors.Join(&usageError{"this", "do that"}, errors.New("and this")))
	g.logger().Info("phase", "phase", "save", "took", 1500*time.Millisecond, "err", errors.New("lost"))
	fmt.Fprint(g.err, "lifeboat: two\nhal")
	fmt.Fprint(g.err, "ves\n\n{no document}\nlast")
	fmt.Fprint(g.foreign(), "as it is\n")
	flush()
	text := strings.Replace(all.String(), "as it is\n", "", 1)
	if text == all.String() {
		t.Error("what is not ours was changed")
	}
	got := ""
	for _, r := range records(t, text) {
		delete(r, "time")
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got += string(line) + "\n"
	}
	want := `{"level":"WARN","msg":"a tab\\tin it"}
{"hints":["do that"],"level":"ERROR","msg":"this; and this"}
{"err":"lost","level":"INFO","msg":"phase","phase":"save","took":1.5}
{"level":"INFO","msg":"two"}
{"level":"INFO","msg":"halves"}
{"level":"INFO","msg":"{no document}"}
{"level":"INFO","msg":"last"}
`
	if got != want {
		t.Errorf("the log is\n%s\nand not\n%s", got, want)
	}
}

func TestTheDocumentsOfAJobSayOfWhichClusterTheyAre(t *testing.T) {
	var all bytes.Buffer
	out, _ := streams{err: &all}.logged([]string{"--log-format", "json"}, nil)
	s := &service{g: &global{streams: out, now: time.Now}}
	g := s.forJob(task{cluster: &clusterConfig{Name: "prod"}, name: "backup"})
	g.logger().Info("phase", "phase", "save")
	g.warnf("a single recipient")
	g.errorf(&usageError{"this is wrong", "write that"})
	g.loggerTo(newProgress(g.err)).Error("sink left")
	g.logger().Warn("the backup is suspect", "cluster", "prod")
	if n := strings.Count(all.String(), `"cluster":`); n != 5 {
		t.Errorf("5 documents have %d clusters:\n%s", n, all.String())
	}
	said := ""
	for _, r := range records(t, all.String()) {
		said += fmt.Sprintln(r["level"], r["msg"])
		if r["cluster"] != "prod" || r["job"] != "backup" {
			t.Errorf("%v is of no job", r)
		}
	}
	if said != "INFO phase\nWARN a single recipient\nERROR this is wrong\nERROR sink left\nWARN the backup is suspect\n" {
		t.Errorf("the log says\n%s", said)
	}
}
