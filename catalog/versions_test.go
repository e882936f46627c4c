package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// layered is a sink that keeps what is overwritten or hidden, newest first.
type layered struct {
	sinks.Sink
	behind map[string][][]byte
	asked  int // for versions
}

func newLayered() (*layered, Named) {
	l := &layered{Sink: mem.New(), behind: map[string][][]byte{}}
	return l, Named{"s3://layered", l}
}

func (l *layered) Versions(_ context.Context, key string) (all []sinks.Version, err error) {
	l.asked++
	for i, data := range l.behind[key] {
		all = append(all, sinks.Version{ID: fmt.Sprint(i), Size: int64(len(data)), ModTime: time.Unix(int64(1000-i), 0)})
	}
	return all, nil
}

func (l *layered) OpenVersion(_ context.Context, key, version string, _ int64) (io.ReadCloser, error) {
	for i, data := range l.behind[key] {
		if fmt.Sprint(i) == version {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
	}
	return nil, fs.ErrNotExist
}

func (l *layered) Hidden(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(l.behind)) {
			r, err := l.Open(ctx, key, 0)
			if err == nil {
				_ = r.Close() // in memory
			}
			if err != nil && strings.HasPrefix(key, prefix) && !yield(sinks.Object{Key: key}, nil) {
				return
			}
		}
	}
}

// hide takes an object away and keeps it behind.
func (l *layered) hide(t *testing.T, key string) {
	t.Helper()
	r, err := l.Open(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close(), l.Delete(t.Context(), key)); err != nil {
		t.Fatal(err)
	}
	l.behind[key] = append([][]byte{data}, l.behind[key]...)
}

// overwrite puts each of several bodies in place of the one before.
func (l *layered) overwrite(t *testing.T, key string, bodies ...[]byte) {
	t.Helper()
	for _, b := range bodies {
		l.hide(t, key)
		put(t, l, key, b)
	}
}

func TestAnOverwrittenManifestCountsAsItWasBeforeAndIsTold(t *testing.T) {
	t.Parallel()
	for _, k := range []key{{}, newKey(t, "prod")} {
		l, s := newLayered()
		first := backupAt(t, []Named{s}, 0, 0xa, 100, 1000, k)
		second := backupAt(t, []Named{s}, 15, 0xa, 150, 1000, k)
		other, err := getNote(t.Context(), s, ManifestKey("prod", second))
		if err != nil {
			t.Fatal(err)
		}
		l.overwrite(t, ManifestKey("prod", first), []byte("{}\n"), bytes.Repeat([]byte("x"), maxNote+1), other)
		got := list(t, []Named{s}, k.trust)
		if !slices.Equal(ids(got), []ID{first, second}) {
			t.Errorf("listed are %v", ids(got))
		}
		if len(got.Problems) != 1 || !errors.Is(got.Problems[0], ErrOverwritten) || !errors.Is(got.Problems[0], ErrNotAuthentic) ||
			got.Problems[0].ID != first || !strings.Contains(got.Problems[0].Error(), "version 2 of") {
			t.Errorf("problems: %v", got.Problems)
		}
		if p := got.hides(); p != nil {
			t.Errorf("nothing is unseen, and yet: %v", p)
		}
	}
}

func TestAnOlderManifestIsNotBelievedMoreThanANewOne(t *testing.T) {
	t.Parallel()
	k, stranger := newKey(t, "prod"), newKey(t, "stranger")
	l, s := newLayered()
	id := backupAt(t, []Named{s}, 0, 0xa, 100, 1000, k)
	at := ManifestKey("prod", id)
	unsigned, foreign := encode(t, sample(id)), encode(t, sample(id), stranger.signer)
	l.overwrite(t, at, []byte("garbage"))
	l.behind[at] = [][]byte{unsigned, foreign}
	got := list(t, []Named{s}, k.trust)
	if len(got.Entries) > 0 || len(got.Problems) != 1 || errors.Is(got.Problems[0], ErrOverwritten) || !errors.Is(got.Problems[0], ErrNotAuthentic) {
		t.Errorf("%v, problems %v", ids(got), got.Problems)
	}
}

func TestVersionsAreAskedForOnlyWhereSomethingIsWrong(t *testing.T) {
	t.Parallel()
	l, s := newLayered()
	for i := range 5 {
		backupAt(t, []Named{s}, 15*i, 0xa, int64(100+i), 1000, key{})
	}
	list(t, []Named{s}, Trust{})
	if l.asked > 0 {
		t.Errorf("asked %d times", l.asked)
	}
}

func TestAnOverwrittenPayloadIsDamagedAndTheWholeVersionIsNamed(t *testing.T) {
	t.Parallel()
	l, s := newLayered()
	m := golden()
	whole := bytes.Repeat([]byte("w"), int(m.Sealed.Size))
	sum := sha256.Sum256(whole)
	m.Sealed.SHA256 = hex.EncodeToString(sum[:])
	wrong := bytes.Repeat([]byte("v"), len(whole))
	put(t, s, m.Sealed.Key, whole)
	if err := VerifyDigest(t.Context(), s, m, nil); err != nil {
		t.Fatal(err)
	}
	l.overwrite(t, m.Sealed.Key, wrong, []byte("short"), wrong)
	err := VerifyDigest(t.Context(), s, m, nil)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "which is whole: s3://layered (version 2 of") {
		t.Errorf("overwritten: %v", err)
	}
	l.hide(t, m.Sealed.Key)
	err = VerifyDigest(t.Context(), s, m, nil)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "it is missing") || !strings.Contains(err.Error(), "which is whole") {
		t.Errorf("hidden: %v", err)
	}
	l.behind[m.Sealed.Key] = [][]byte{wrong}
	if err = VerifyDigest(t.Context(), s, m, nil); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "whole") {
		t.Errorf("without a whole version: %v", err)
	}
}

func TestAHiddenBackupIsTakenOnlyByName(t *testing.T) {
	t.Parallel()
	l, s := newLayered()
	k := newKey(t, "prod")
	nine := backupAt(t, []Named{s}, 0, 0xa, 9, 1000, k)
	ten := backupAt(t, []Named{s}, 15, 0xa, 10, 1000, k)
	for _, id := range []ID{nine, ten} {
		l.hide(t, ManifestKey("prod", id))
	}
	put(t, s, "v1/prod/manifests/readme.txt", []byte("x"))
	l.hide(t, "v1/prod/manifests/readme.txt")
	if got := list(t, []Named{s}, k.trust); len(got.Entries) > 0 {
		t.Errorf("listed are %v", ids(got))
	}
	for _, cluster := range []string{"", "prod"} {
		all := Hidden(t.Context(), []Named{s}, cluster)
		if len(all) != 2 || all[0].ID != nine || all[1].ID != ten || all[1].Cluster != "prod" {
			t.Fatalf("hidden in %q: %+v", cluster, all)
		}
		e, err := Unveil(t.Context(), all[1], k.trust)
		if err != nil || e.ID != ten || !e.Sig.Trusted || !slices.Equal(e.Sinks, []string{s.Name}) {
			t.Errorf("%+v, %v", e, err)
		}
		if _, err := Unveil(t.Context(), all[1], newKey(t, "another").trust); !errors.Is(err, ErrNotFound) {
			t.Errorf("unveiled without trust: %v", err)
		}
	}
}
