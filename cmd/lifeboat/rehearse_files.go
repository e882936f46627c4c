package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal/junit"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal/page"
)

// reportFiles are the files that a rehearsal's report is written to, beside what is printed.
type reportFiles struct{ html, junit string }

func (f *reportFiles) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.html, "html", "", "write the report to `FILE`, one page that needs nothing else, to keep or to print")
	fl.StringVar(&f.junit, "junit", "", "write the report to `FILE` as JUnit XML, for CI")
}

// check finds a path that cannot be written before the rehearsal runs: it may take an hour, and its outcome must have somewhere to go.
func (f *reportFiles) check() error {
	for flag, path := range map[string]string{"--html": f.html, "--junit": f.junit} {
		if err := replaceable(flag, path); err != nil {
			return err
		}
	}
	if f.html != "" && sameFile(f.html, f.junit) {
		return &usageError{"--html and --junit name one file, " + f.html, "give each its own"}
	}
	return nil
}

// replaceable tells whether a file can be put at path, by putting one beside it for a moment.
func replaceable(flag, path string) error {
	if path == "" {
		return nil
	}
	const advice = "give the path of a file, in a directory that is there and may be written to"
	info, err := os.Stat(path)
	switch {
	case os.IsPathSeparator(path[len(path)-1]), err == nil && info.IsDir():
		return &usageError{fmt.Sprintf("%s %s is a directory", flag, path), advice}
	case err == nil && !info.Mode().IsRegular():
		return &usageError{fmt.Sprintf("%s %s is not a file", flag, path), advice}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return &usageError{fmt.Sprintf("%s: %v", flag, err), advice}
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".lifeboat-report-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return &usageError{fmt.Sprintf("%s %s cannot be written: %v", flag, path, err), advice}
	}
	return nil
}

// sameFile tells whether two paths lead to one file, which need not be there yet.
func sameFile(a, b string) bool {
	place := func(path string) string {
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return path
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		return filepath.Join(dir, filepath.Base(path))
	}
	return b != "" && place(a) == place(b)
}

// write writes what was asked for, each whole or not at all.
func (f *reportFiles) write(r *rehearsal.Report) error {
	var errs []error
	if f.html != "" {
		errs = append(errs, replaceFile(f.html, func(w io.Writer) error { return page.Write(w, r) }))
	}
	if f.junit != "" {
		errs = append(errs, replaceFile(f.junit, func(w io.Writer) error { return junit.Write(w, r) }))
	}
	return errors.Join(errs...)
}

// unwritten is a report that could not be put where it was wanted. The rehearsal itself stands.
type unwritten struct {
	path string
	err  error
}

func (e *unwritten) Error() string {
	return fmt.Sprintf("the report could not be written to %s: %v", e.path, e.err)
}
func (e *unwritten) Unwrap() error { return e.err }
func (e *unwritten) Hint() string {
	return "what the rehearsal found out is printed, and stands; make room or give another path, and rehearse again for the file"
}

// reportMode lets others read the file, as far as the umask does: it is there to be handed on, to a CI server or an auditor, and says
// nothing that the report in the bucket and its manifest do not.
const reportMode = 0o644

// replaceFile puts a new file at path, with what is written, in one step: who reads it meanwhile sees the old one or the new one.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	defer func() {
		if err != nil {
			err = &unwritten{path, err}
		}
	}()
	var text strings.Builder
	if err := write(&text); err != nil {
		return err
	}
	next := filepath.Join(dir, fmt.Sprintf(".%s.%d.lifeboat", filepath.Base(path), os.Getpid()))
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that was killed, with our number
		return err
	}
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, reportMode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text.String())
	if err = errors.Join(err, out.Sync(), out.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
