package rehearsal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/restore"
)

// flipValue changes one bit in the value of the newest object in a database, at its length: what a failing disk or memory does
// behind every checksum but HashKV.
func flipValue(dataDir string) error {
	db, err := bbolt.Open(filepath.Join(dataDir, "member", "snap", "db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		c := b.Cursor()
		for key, record := c.Last(); key != nil; key, record = c.Prev() {
			if len(record) > 300 { // no tombstone; and its middle is in the value, not in the key or the numbers
				changed := bytes.Clone(record)
				changed[len(changed)*2/3] ^= 1
				return b.Put(bytes.Clone(key), changed)
			}
		}
		return errors.New("no record to change")
	}), db.Close())
}

// TestAFlippedValueIsFoundInTheMemberThatHasIt changes one bit of a restored member before it boots.
func TestAFlippedValueIsFoundInTheMemberThatHasIt(t *testing.T) {
	t.Parallel()
	o := options(t, save(t, lab.ClusterOptions{Members: 1}, 300).path)
	o.BeforeBoot = func(_ context.Context, dirs []string) error { return flipValue(dirs[1]) }
	r := rehearse(t, o)
	if r.Passed || !strings.Contains(r.Reason, CheckHash) || !strings.Contains(r.Reason, "rehearsal-2") {
		t.Errorf("passed is %t: %s", r.Passed, r.Reason)
	}
	for _, row := range r.Comparison {
		if row.Equal == (row.Name == "rehearsal-2") {
			t.Errorf("%s: equal is %t", row.Name, row.Equal)
		}
	}
}

// TestADamagedDirectoryEndsInAReport damages a restored member in ways that kill the etcd which opens it, or keep it from ever serving.
func TestADamagedDirectoryEndsInAReport(t *testing.T) {
	t.Parallel()
	source := save(t, lab.ClusterOptions{Members: 1}, 300)
	db := func(dir string) string { return filepath.Join(dir, "member", "snap", "db") }
	named := map[string]string{"log of another": "rehearsal-"} // two of one id: etcd may choke on either
	for name, damage := range map[string]func(dir string) error{
		"truncated":    func(dir string) error { return os.Truncate(db(dir), 40960) },
		"meta zeroed":  func(dir string) error { return overwrite(db(dir), 0, make([]byte, 2*4096)) },
		"pages zeroed": func(dir string) error { return overwrite(db(dir), 4*4096, make([]byte, 16*4096)) },
		"no database":  func(dir string) error { return os.Remove(db(dir)) },
		"log of another": func(dir string) error {
			return takeLog(dir, filepath.Join(filepath.Dir(dir), strings.Replace(filepath.Base(dir), "-2", "-3", 1)))
		},
		"garbage in log": func(dir string) error {
			return overwriteFirst(filepath.Join(dir, "member", "wal"), 200, bytes.Repeat([]byte{0x5a}, 400))
		},
		"no folder": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "member", "snap")), os.WriteFile(filepath.Join(dir, "member", "snap"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, source.path)
			o.Timeout = 8 * time.Second
			o.BeforeBoot = func(_ context.Context, dirs []string) error { return damage(dirs[1]) }
			r := rehearse(t, o)
			if r.Passed || !strings.Contains(r.Reason, cmp.Or(named[name], "rehearsal-2")) {
				t.Errorf("passed is %t: %s", r.Passed, r.Reason)
			}
		})
	}
}

func overwrite(path string, off int64, with []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(with, off)
	return errors.Join(err, f.Close())
}

func overwriteFirst(dir string, off int64, with []byte) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	return overwrite(filepath.Join(dir, all[0].Name()), off, with)
}

func takeLog(dir, from string) error {
	own := filepath.Join(dir, "member", "wal")
	return errors.Join(os.RemoveAll(own), os.CopyFS(own, os.DirFS(filepath.Join(from, "member", "wal"))))
}

// TestADamagedFileIsNoError rehearses a file that changed after it was looked at: the verdict is about the backup.
func TestADamagedFileIsNoError(t *testing.T) {
	t.Parallel()
	source := save(t, lab.ClusterOptions{Members: 1}, 300)
	o := options(t, source.path)
	if err := overwrite(source.path, 5*4096+77, []byte("x")); err != nil {
		t.Fatal(err)
	}
	r := rehearse(t, o)
	if r.Passed || !strings.HasPrefix(r.Reason, CheckRestore) {
		t.Errorf("passed is %t: %s", r.Passed, r.Reason)
	}
}

// TestWhatCannotBeTestedIsAnError tells a backup that failed from one that was never tried.
func TestWhatCannotBeTestedIsAnError(t *testing.T) {
	t.Parallel()
	source := save(t, lab.ClusterOptions{Members: 1}, 100)
	t.Run("not an etcd", func(t *testing.T) {
		t.Parallel()
		o := options(t, source.path)
		o.Etcd = []string{"/bin/true"}
		var wrong *BinaryError
		if _, err := Run(t.Context(), o, restore.Deps{}); !errors.As(err, &wrong) || wrong.Path != "/bin/true" {
			t.Errorf("%v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		o := options(t, source.path)
		o.Plan.MaxAge = time.Nanosecond
		var refusal *restore.Refusal
		if _, err := Run(t.Context(), o, restore.Deps{}); !errors.As(err, &refusal) {
			t.Errorf("%v", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		cause := errors.New("somebody pressed a key")
		o := options(t, source.path)
		ctx, cancel := context.WithCancelCause(t.Context())
		o.BeforeBoot = func(context.Context, []string) error {
			time.AfterFunc(150*time.Millisecond, func() { cancel(cause) })
			return nil
		}
		if r, err := Run(ctx, o, restore.Deps{}); !errors.Is(err, cause) {
			t.Errorf("%v, %+v", err, r)
		}
	})
}
