package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestTheDigestAtTheEndIsFoundHoweverTheBytesCome(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 31, 32, 33, 1000, disk.WritePart - 32, disk.WritePart, 3*disk.WritePart + 7} {
		body := bytes.Repeat([]byte("lifeboat"), size/8+1)[:size]
		sum := sha256.Sum256(body)
		whole := append(bytes.Clone(body), sum[:]...)
		all := sha256.Sum256(whole)
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(whole), "in halves": iotest.HalfReader(bytes.NewReader(whole)),
			"with the end": iotest.DataErrReader(bytes.NewReader(whole)),
		} {
			got := mustPour(t, r)
			if got.size != int64(len(whole)) || got.sha256 != hex.EncodeToString(all[:]) || !got.whole {
				t.Errorf("%d bytes %s: %+v", size, name, got)
			}
		}
		if got := mustPour(t, bytes.NewReader(whole[:len(whole)-1])); got.whole {
			t.Errorf("%d bytes, one cut off: %+v", size, got)
		}
	}
	small := &trailer{h: sha256.New()}
	sum := sha256.Sum256([]byte("ab"))
	for _, b := range append([]byte("ab"), sum[:]...) {
		small.write([]byte{b})
	}
	if _, whole := small.sums(); !whole {
		t.Error("not found byte by byte")
	}
}

func mustPour(t *testing.T, r io.Reader) *poured {
	t.Helper()
	dst, err := os.Create(filepath.Join(t.TempDir(), "dst"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	got, err := pour(t.Context(), dst, r, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPouringEndsWithItsSourceOrItsContext(t *testing.T) {
	t.Parallel()
	dst, err := os.Create(filepath.Join(t.TempDir(), "dst"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	boom := errors.New("boom")
	broken := io.MultiReader(bytes.NewReader(make([]byte, 5*disk.WritePart+1)), iotest.ErrReader(boom))
	if _, err := pour(t.Context(), dst, broken, func(int64) {}); !errors.Is(err, boom) {
		t.Errorf("source: %v", err)
	}
	if _, err := pour(t.Context(), dst, iotest.ErrReader(io.ErrUnexpectedEOF), func(int64) {}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that is cut: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := pour(ctx, dst, zeros{}, func(int64) { cancel(boom) }); !errors.Is(err, boom) {
		t.Errorf("context: %v", err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pour(t.Context(), dst, zeros{}, func(int64) {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("destination: %v", err)
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestARawDatabaseIsRestoredOnlyWhenAskedFor takes the database of a member as it lies in its directory.
func TestARawDatabaseIsRestoredOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	src := fileSource(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(raw, data[:len(data)-trailerSize], 0o600); err != nil {
		t.Fatal(err)
	}
	hinted := func(path string) bool {
		t.Helper()
		_, err := FromFile(t.Context(), path, false)
		var hint interface{ Hint() string }
		if !errors.Is(err, snapshot.ErrDamaged) || !errors.As(err, &hint) {
			t.Fatalf("%s passes for a snapshot: %v", path, err)
		}
		return strings.Contains(hint.Hint(), "--raw")
	}
	if !hinted(raw) {
		t.Error("nothing is said of --raw for a raw database")
	}
	for _, end := range []int{len(data) - 4096, len(data) - 1000, 32, 0} { // a page missing, an odd end, nothing but a digest, nothing
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, data[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		if hinted(cut) {
			t.Errorf("--raw is said to take a snapshot of which %d of %d bytes are there", end, len(data))
		}
	}
	var usage *UsageError
	if _, err := FromFile(t.Context(), path, true); !errors.As(err, &usage) || !strings.Contains(usage.Advice, "leave out --raw") {
		t.Errorf("a snapshot passes for a raw database: %v", err)
	}
	odd := filepath.Join(t.TempDir(), "odd")
	if err := os.WriteFile(odd, data[:len(data)-4096], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FromFile(t.Context(), odd, true); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("what has a snapshot's size and not its digest is %v", err)
	}
	found, err := FromFile(t.Context(), raw, true)
	if err != nil {
		t.Fatal(err)
	}
	if found.Hash != src.Hash || found.ID == src.ID {
		t.Errorf("it is %+v", found)
	}
	res := mustRun(t, Plan{Source: found, Members: newMembers(t, "http", "a"), Out: filepath.Join(t.TempDir(), "out"), NoBump: true}, Deps{})
	equalHash(t, dbOf(res.Members[0]), src.Hash)

	held, err := os.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var refusal *Refusal
	if _, err := FromFile(t.Context(), raw, true); !errors.As(err, &refusal) || time.Since(began) > 5*time.Second {
		t.Errorf("a database that an etcd has open: %v after %v", err, time.Since(began))
	}
}
