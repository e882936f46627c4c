package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

func TestAReportsPathIsTriedBeforeTheRehearsal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here := filepath.Join(dir, "here")
	if err := os.WriteFile(here, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files reportFiles
		says  string // "": it is fine
	}{
		"none asked for":           {reportFiles{}, ""},
		"a new one":                {reportFiles{html: filepath.Join(dir, "new.html")}, ""},
		"one that is there":        {reportFiles{junit: here}, ""},
		"two":                      {reportFiles{html: filepath.Join(dir, "a"), junit: filepath.Join(dir, "b")}, ""},
		"a directory":              {reportFiles{html: dir}, "is a directory"},
		"a directory that will be": {reportFiles{html: filepath.Join(dir, "new") + "/"}, "is a directory"},
		"a pipe":                   {reportFiles{junit: pipe}, "is not a file"},
		"in no directory":          {reportFiles{html: filepath.Join(dir, "none", "page.html")}, "cannot be written"},
		"below a file":             {reportFiles{html: filepath.Join(here, "page.html")}, "not a directory"},
		"in what is no file tree":  {reportFiles{junit: "/proc/self/page.html"}, "cannot be written"},
		"the same twice":           {reportFiles{html: here, junit: here}, "one file"},
		"the same by another name": {reportFiles{html: filepath.Join(dir, "x"), junit: filepath.Join(link, ".", "x")}, "one file"},
	} {
		err := c.files.check()
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || exitCode(t.Context(), err) != exitUsage || hintOf(err) == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(here); err != nil || string(text) != "the old one" {
		t.Errorf("a file that was only tried holds %q, %v", text, err)
	}
	if left := names(t, dir); len(left) != 3 {
		t.Errorf("left behind: %v", left)
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestAReportReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := reportFiles{html: filepath.Join(dir, "page.html"), junit: filepath.Join(dir, "junit.xml")}
	if err := os.WriteFile(f.html, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.write(&rehearsal.Report{Reason: "why", Backup: rehearsal.Backup{ID: "the-id"}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{f.html, f.junit} {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "the-id") {
			t.Errorf("%s: %v\n%s", path, err, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o133 != 0 || info.Mode().Perm()&0o600 != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if left := names(t, dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// TestAReportThatCannotBeWrittenHidesNoVerdict: the exit code of a failed rehearsal stays, and after one that passed it is an error.
func TestAReportThatCannotBeWrittenHidesNoVerdict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")
	f := reportFiles{html: filepath.Join(gone, "page.html"), junit: filepath.Join(dir, "junit.xml")}
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil { // while it runs
		t.Fatal(err)
	}
	err := f.write(&rehearsal.Report{})
	if code := exitCode(t.Context(), err); code != exitUnexpected || !strings.Contains(err.Error(), f.html) || len(hintsOf(err)) != 1 {
		t.Errorf("exit %d: %v", code, err)
	}
	if _, err := os.Stat(f.junit); err != nil {
		t.Errorf("the other file was not written: %v", err)
	}
	if code := exitCode(t.Context(), errors.Join(&notProven{reason: "the rehearsal failed"}, err)); code != exitRehearsal {
		t.Errorf("exit %d", code)
	}
}
