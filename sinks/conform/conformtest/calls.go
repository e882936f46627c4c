package conformtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Content makes size bytes that differ by the seed.
func Content(seed byte, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// Put puts bytes.
func Put(ctx context.Context, s sinks.Sink, key string, body []byte) error {
	return s.Put(ctx, key, bytes.NewReader(body), int64(len(body)))
}

// MustPut puts bytes, or ends the test.
func MustPut(t *testing.T, s sinks.Sink, key string, body []byte) {
	t.Helper()
	if err := Put(t.Context(), s, key, body); err != nil {
		t.Fatal(err)
	}
}

// Read reads an object from a byte on. With an error comes what was read before it.
func Read(ctx context.Context, s sinks.Sink, key string, off int64) ([]byte, error) {
	r, err := s.Open(ctx, key, off)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	return got, errors.Join(err, r.Close())
}

// Holds checks an object.
func Holds(t *testing.T, s sinks.Sink, key string, want []byte) {
	t.Helper()
	got, err := Read(t.Context(), s, key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d other bytes than the %d it should", key, len(got), len(want))
	}
}

// EveryCall makes each of the named calls, of put, open, list and delete, and returns their errors by name.
func EveryCall(t *testing.T, s sinks.Sink, ops ...string) map[string]error {
	t.Helper()
	errs := map[string]error{}
	for _, op := range ops {
		switch op {
		case "put":
			errs[op] = Put(t.Context(), s, "a/b", []byte("x"))
		case "open":
			_, errs[op] = s.Open(t.Context(), "a/b", 0)
		case "list":
			for _, err := range s.List(t.Context(), "") {
				errs[op] = err
			}
		case "delete":
			errs[op] = s.Delete(t.Context(), "a/b")
		}
	}
	return errs
}

// Fails checks that all calls fail by the same kind, say the same thing in words of ours, and give a hint.
func Fails(t *testing.T, s sinks.Sink, kind error, text, hint string) {
	t.Helper()
	for op, err := range EveryCall(t, s, "put", "open", "list", "delete") {
		var e *sinks.Error
		switch {
		case !errors.As(err, &e) || e.Op != op:
			t.Errorf("%s gives: %v", op, err)
			continue
		case kind != nil && !errors.Is(err, kind):
			t.Errorf("%s gives the wrong kind of error: %v", op, err)
		case errors.Is(err, fs.ErrNotExist):
			t.Errorf("%s says that the object is not there: %v", op, err)
		case !strings.Contains(err.Error(), text) || !strings.Contains(e.Hint, hint):
			t.Errorf("%s says: %v; hint: %s", op, err, e.Hint)
		}
		for _, theirs := range []string{"\n", "operation error", "googleapi", "storage: "} { // as the clients say it
			if strings.Contains(err.Error(), theirs) {
				t.Errorf("%s says it badly: %v", op, err)
			}
		}
	}
}
