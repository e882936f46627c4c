package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestDamageIsWhatEtcdDoesNotStartOn breaks a directory in the ways that people and disks have. What is said to be severe has to keep a
// real etcd from serving what was there, and what is not must not.
func TestDamageIsWhatEtcdDoesNotStartOn(t *testing.T) {
	t.Parallel()
	const version = "3.7"
	h := newHost(t)
	h.must(version, nil, puts(t, 10))
	early := h.fork("early")
	h.must(version, snapshotting(), puts(t, 30))
	late := h.fork("late")
	late.must(version, nil, puts(t, 40))
	wants(t, "as it was left", inspected(t, h.dir))

	for _, test := range []struct {
		name   string
		of     *host
		damage func(t *testing.T, h *host)
		want   []string
		serves bool // what was there, whole
	}{
		{"nothing", h, func(*testing.T, *host) {}, nil, true},
		{"the database is gone", h, remove("snap/db"), []string{DBMissing}, false},
		{"the database is gone and the log is whole", early, remove("snap/db"), []string{DBMissing}, true},
		{"the log is gone", h, remove("wal"), []string{WALMissing}, false},
		{"the snap directory is gone", h, remove("snap"), []string{DBMissing}, false},
		{"the database of an earlier time", h, from(early, "snap/db"), []string{DBBehind}, false},
		{"the log of an earlier time", late, from(h, "wal"), []string{DBAhead}, false},
		{"the last record is torn", h, tear, []string{WALTorn}, true},
		{"a flipped bit in the log", h, flipInLog, []string{WALDamaged}, false},
		{"zeroed meta pages", h, zero("snap/db", 0, 2*4096), []string{DBDamaged}, false},
		{"a database that is cut off", h, truncate("snap/db", 3*4096), []string{DBDamaged}, false},
		{"a file in the place of a directory", h, fileFor("snap"), []string{WrongKind}, false},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			broken := test.of.fork(strings.ReplaceAll(test.name, " ", "-"))
			broken.t = t
			want := inspected(t, broken.dir).Revision
			test.damage(t, broken)
			d := inspected(t, broken.dir)
			if got := codes(d); strings.Join(got, " ") != strings.Join(test.want, " ") {
				t.Errorf("found %v, want %v: %+v", got, test.want, d.Findings)
			}
			if d.Severe() == test.serves {
				t.Errorf("severe is not said to be of what etcd does not start on: %+v", d.Findings)
			}
			err := broken.answers(version, want, test.serves)
			if (err == nil) != test.serves || err != nil && strings.Contains(err.Error(), "address already in use") {
				t.Errorf("etcd says: %v; found %+v", err, d.Findings)
			}
			t.Logf("etcd says: %.300v", err)
			if test.name != "the database is gone" {
				return
			}
			if d := inspected(t, broken.dir); len(d.Findings) != 1 || d.Findings[0].Code != DBDamaged || !strings.Contains(d.Findings[0].Detail, "was deleted") {
				t.Errorf("what etcd then left: %+v", d.Findings)
			}
		})
	}
}

// answers tells why an etcd does not serve what was there, or does not take a write; nil if it does.
func (h *host) answers(version string, revision int64, expected bool) error {
	h.t.Helper()
	there, args := h.elsewhere()
	there.brief = !expected
	var wrong error
	err := there.run(version, args, func(ctx context.Context, cli *clientv3.Client) {
		before, err := cli.Get(ctx, "key-1")
		if err != nil || before.Header.Revision < revision {
			wrong = fmt.Errorf("it is at revision %d, %w", before.Header.Revision, err)
			return
		}
		put, err := cli.Put(ctx, "key-1", "after")
		if err != nil {
			wrong = err
			return
		}
		after, err := cli.Get(ctx, "key-1")
		if err != nil || put.Header.Revision <= before.Header.Revision || string(after.Kvs[0].Value) != "after" {
			wrong = fmt.Errorf("a write was acknowledged with revision %d after %d, and reads as %v, %w", put.Header.Revision, before.Header.Revision, after.Kvs, err)
		}
	})
	return errors.Join(err, wrong)
}

func (h *host) member(name string) string { return filepath.Join(h.dir, "member", name) }

func remove(name string) func(*testing.T, *host) {
	return func(t *testing.T, h *host) { must(t, os.RemoveAll(h.member(name))) }
}

// from puts what another has in the place.
func from(other *host, name string) func(*testing.T, *host) {
	return func(t *testing.T, h *host) {
		must(t, os.RemoveAll(h.member(name)))
		copyDir(t, other.member(name), h.member(name))
	}
}

func zero(name string, at, n int64) func(*testing.T, *host) {
	return func(t *testing.T, h *host) { overwrite(t, h.member(name), at, make([]byte, n)) }
}

func truncate(name string, size int64) func(*testing.T, *host) {
	return func(t *testing.T, h *host) { must(t, os.Truncate(h.member(name), size)) }
}

func fileFor(name string) func(*testing.T, *host) {
	return func(t *testing.T, h *host) {
		must(t, os.RemoveAll(h.member(name)))
		must(t, os.WriteFile(h.member(name), []byte("x"), 0o600))
	}
}

// tear leaves the beginning of a record behind the last one, as a member does that dies while it writes.
func tear(t *testing.T, h *host) {
	name, end := tail(t, h)
	overwrite(t, name, end, []byte{0xd0, 0x07, 0, 0, 0, 0, 0, 0, 8, 2, 16}) // of 2,000 bytes the first three
}

// flipInLog changes one bit in the middle of what the log has.
func flipInLog(t *testing.T, h *host) {
	name, end := tail(t, h)
	data, err := os.ReadFile(name)
	must(t, err)
	overwrite(t, name, end/2, []byte{data[end/2] ^ 0x10})
}

// tail is the last segment, and where its last record ends.
func tail(t *testing.T, h *host) (name string, end int64) {
	t.Helper()
	f, err := survey(h.dir)
	must(t, err)
	f.close()
	name = filepath.Join(f.walDir, f.segments[len(f.segments)-1])
	data, err := os.ReadFile(name)
	must(t, err)
	n := len(bytes.TrimRight(data, "\x00"))
	return name, int64((n + 7) / 8 * 8) // records are padded to eight bytes
}

func overwrite(t *testing.T, name string, at int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(data, at)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsNoDataDirectory gives it what people give by mistake, and what would block whoever opens it.
func TestWhatIsNoDataDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	for path, want := range map[string]error{filepath.Join(dir, "nowhere"): fs.ErrNotExist, file: nil, filepath.Join(file, "below"): syscall.ENOTDIR} {
		d, err := Inspect(t.Context(), path)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", path, d, err)
		}
	}
	make := func(name string, how func(member string)) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Join(path, "member", "snap"), 0o700))
		must(t, os.MkdirAll(filepath.Join(path, "member", "wal"), 0o700))
		how(filepath.Join(path, "member"))
		return path
	}
	empty := filepath.Join(dir, "empty")
	must(t, os.Mkdir(empty, 0o700))
	for _, test := range []struct {
		path string
		want []string
	}{
		{empty, []string{NoData}},
		{make("no-files", func(string) {}), []string{NoData}},
		{make("pipes", func(m string) {
			must(t, syscall.Mkfifo(filepath.Join(m, "snap", "db"), 0o600))
			must(t, syscall.Mkfifo(filepath.Join(m, "snap", "0000000000000001-0000000000000001.snap"), 0o600))
			must(t, syscall.Mkfifo(filepath.Join(m, "wal", "0000000000000000-0000000000000000.wal"), 0o600))
		}), []string{WrongKind, WrongKind, WrongKind}},
		{make("loop", func(m string) { must(t, os.Symlink("db", filepath.Join(m, "snap", "db"))) }), nil},
		{make("link-to-nowhere", func(m string) {
			must(t, os.Remove(filepath.Join(m, "wal")))
			must(t, os.Symlink("/nowhere", filepath.Join(m, "wal")))
		}), []string{WrongKind}},
		{make("endless", func(m string) {
			must(t, os.Symlink("/dev/zero", filepath.Join(m, "snap", "db")))
		}), []string{WrongKind}},
		{make("sparse", func(m string) {
			name := filepath.Join(m, "wal", "0000000000000000-0000000000000000.wal")
			must(t, os.WriteFile(name, nil, 0o600))
			must(t, os.Truncate(name, 1<<40))
		}), []string{DBMissing, WALDamaged}},
		{make("empty-files", func(m string) {
			must(t, os.WriteFile(filepath.Join(m, "snap", "db"), nil, 0o600))
			must(t, os.WriteFile(filepath.Join(m, "wal", "0000000000000000-0000000000000000.wal"), nil, 0o600))
		}), []string{DBDamaged}},
	} {
		d, err := Inspect(t.Context(), test.path)
		if test.want == nil {
			if err == nil {
				t.Errorf("%s: %+v", test.path, d)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		if got := codes(d); strings.Join(got, " ") != strings.Join(test.want, " ") || !d.Severe() {
			t.Errorf("%s: found %+v, want %v", test.path, d.Findings, test.want)
		}
	}
}

// TestLinksAndTheMemberDirectoryLeadToTheSame gives the same directory by other names, with its log elsewhere.
func TestLinksAndTheMemberDirectoryLeadToTheSame(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.must("3.6", nil, puts(t, 3))
	want := inspected(t, h.dir)
	other := filepath.Join(filepath.Dir(h.dir), "the log [of m1]")
	must(t, os.Rename(h.member("wal"), other))
	must(t, os.Symlink(other, h.member("wal")))
	link := h.dir + "-link"
	must(t, os.Symlink(h.dir, link))
	for _, path := range []string{h.dir, link, filepath.Join(link, "member"), h.dir + "/"} {
		d := inspected(t, path)
		if d.WALIndex != want.WALIndex || d.Revision != want.Revision || d.Size != want.Size || len(d.Findings) > 0 {
			t.Errorf("%s: %+v, want %+v", path, d, want)
		}
		if st, err := os.Stat(d.Database); err != nil || st.Size() != d.DBSize {
			t.Errorf("%s: the database at %s: %v, %v", path, d.Database, st, err)
		}
	}
}
