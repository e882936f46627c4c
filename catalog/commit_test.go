package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// faulty is a sink whose calls can be made to go wrong.
type faulty struct {
	sinks.Sink
	put  func(ctx context.Context, key string, body io.ReaderAt, size int64) error
	open func(ctx context.Context, key string) (io.ReadCloser, error)
	list error
}

func (f *faulty) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if f.put != nil {
		return f.put(ctx, key, body, size)
	}
	return f.Sink.Put(ctx, key, body, size)
}

func (f *faulty) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if f.open != nil {
		return f.open(ctx, key)
	}
	return f.Sink.Open(ctx, key, off)
}

func (f *faulty) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	if f.list != nil {
		return func(yield func(sinks.Object, error) bool) { yield(sinks.Object{}, f.list) }
	}
	return f.Sink.List(ctx, prefix)
}

func put(t testing.TB, s sinks.Sink, key string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

func TestCommitWritesTheManifestOnce(t *testing.T) {
	t.Parallel()
	dir, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Named{{"mem:", mem.New()}, {"file:///dir", dir}} {
		data := encode(t, sample(id1))
		for range 2 { // the second time it is there already, as after a lost answer
			if err := Commit(t.Context(), s, data); err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
		}
		got, err := getNote(t.Context(), s, ManifestKey("prod", id1))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %q %v", s.Name, got, err)
		}
		m := sample(id1)
		m.LiveKeys++
		err = Commit(t.Context(), s, encode(t, m))
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), string(id1)) {
			t.Errorf("%s: another manifest of the same id: %v", s.Name, err)
		}
	}
}

func TestCommitLooksWhenTheAnswerIsUnclear(t *testing.T) {
	t.Parallel()
	data, key := encode(t, sample(id1)), ManifestKey("prod", id1)
	lost := errors.New("connection reset")
	store := mem.New()
	landed := &faulty{Sink: store, put: func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
		if err := store.Put(ctx, key, body, size); err != nil {
			return err
		}
		return lost
	}}
	if err := Commit(t.Context(), Named{"s3://b", landed}, data); err != nil {
		t.Errorf("written, answer lost: %v", err)
	}
	never := &faulty{Sink: mem.New(), put: func(context.Context, string, io.ReaderAt, int64) error { return lost }}
	if err := Commit(t.Context(), Named{"s3://b", never}, data); !errors.Is(err, lost) {
		t.Errorf("not written: %v", err)
	}
	garbled := &faulty{Sink: mem.New(), open: func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data[1:])), nil
	}}
	if err := Commit(t.Context(), Named{"s3://b", garbled}, data); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
		t.Errorf("read back differently: %v", err)
	}
	unread := &faulty{Sink: mem.New(), open: func(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrPermission }}
	if err := Commit(t.Context(), Named{"s3://b", unread}, data); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("cannot be read back: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Commit(ctx, Named{"s3://b", never}, data); err == nil {
		t.Error("committed though cancelled")
	}
	if err := Commit(t.Context(), Named{"s3://b", mem.New()}, []byte("{}\n")); err == nil {
		t.Error("something else than a manifest was committed")
	}
}

func TestVerifyDigestTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	sum := sha256.Sum256(payload)
	m := sample(id1)
	m.Sealed.Size, m.Sealed.SHA256 = int64(len(payload)), hex.EncodeToString(sum[:])
	flipped := bytes.Clone(payload)
	flipped[len(flipped)/2] ^= 1
	reset := errors.New("connection reset")
	for name, c := range map[string]struct {
		stored []byte
		want   error
		says   string
	}{
		"right":   {payload, nil, ""},
		"flipped": {flipped, ErrDamaged, "its sha256 is"},
		"shorter": {payload[:len(payload)-1], ErrDamaged, "has 1048575 bytes instead of 1048576"},
		"longer":  {append(bytes.Clone(payload), 0), ErrDamaged, "longer than the 1048576 bytes"},
		"empty":   {[]byte{}, ErrDamaged, "has 0 bytes instead of"},
		"missing": {nil, ErrDamaged, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Named{"s3://bucket/prefix", mem.New()}
			if c.stored != nil {
				put(t, s, m.Sealed.Key, c.stored)
			}
			var last int64
			err := VerifyDigest(t.Context(), s, m, func(done, total int64) {
				if done <= last || total != m.Sealed.Size {
					t.Errorf("progress %d after %d of %d", done, last, total)
				}
				last = done
			})
			if c.want == nil {
				if err != nil || last != m.Sealed.Size {
					t.Errorf("%d read, %v", last, err)
				}
				return
			}
			var p *Problem
			if !errors.Is(err, c.want) || !errors.As(err, &p) || p.ID != id1 || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), s.Name) || !strings.Contains(err.Error(), m.Sealed.Key) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, f := range map[string]*faulty{
		"refused": {Sink: mem.New(), open: func(context.Context, string) (io.ReadCloser, error) { return nil, reset }},
		"broken": {Sink: mem.New(), open: func(context.Context, string) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(payload[:1000]), &broken{reset})), nil
		}},
	} {
		if err := VerifyDigest(t.Context(), Named{"s3://b", f}, m, nil); !errors.Is(err, reset) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type broken struct{ err error }

func (b *broken) Read([]byte) (int, error) { return 0, b.err }
