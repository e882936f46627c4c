package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestSpoolHasNoNameAndIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := snapshot.NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	st, err := s.File().Stat()
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("directory holds %v, %v", entries, err)
	}
}

func TestUnusableSpoolDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/nonexistent/spool", "/proc"} {
		_, err := snapshot.NewSpool(dir)
		if !errors.Is(err, snapshot.ErrSpool) || !strings.Contains(err.Error(), "spool directory "+dir+": ") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestFollowersReadWhatIsStillArriving(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	s.WriteBack(64 << 10)
	want := pseudo(1 << 20)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			got, err := io.ReadAll(s.Follow(t.Context()))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("read %d of %d bytes: %v", len(got), len(want), err)
			}
		})
	}
	for off := 0; off < len(want); off += 10_000 {
		if _, err := s.Write(want[off:min(off+10_000, len(want))]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	s.Finish(nil)
	wg.Wait()
	if s.Size() != int64(len(want)) {
		t.Errorf("size %d", s.Size())
	}
	late, err := io.ReadAll(s.Follow(t.Context()))
	if err != nil || !bytes.Equal(late, want) {
		t.Errorf("a late follower read %d bytes: %v", len(late), err)
	}
}

func TestFollowersOfAnAbandonedAttemptFail(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	if _, err := s.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	old := s.Follow(t.Context())
	buf := make([]byte, 5)
	if _, err := io.ReadFull(old, buf); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error, 1)
	go func() { _, err := old.Read(buf); blocked <- err }()
	time.Sleep(20 * time.Millisecond)
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := <-blocked; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a waiting follower got %v", err)
	}
	if _, err := s.Write([]byte("second attempt")); err != nil {
		t.Fatal(err)
	}
	s.Finish(nil)
	if n, err := old.Read(buf); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an old follower read %d bytes of the new attempt, %v", n, err)
	}
	got, err := io.ReadAll(s.Follow(t.Context()))
	if err != nil || string(got) != "second attempt" {
		t.Errorf("new follower: %q, %v", got, err)
	}
	if b := contents(t, s.File()); string(b) != "second attempt" {
		t.Errorf("file holds %q", b)
	}
}

func TestFollowerEndsWithItsContextAndWithTheWritersError(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := s.Follow(ctx).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	why := errors.New("no member left")
	time.AfterFunc(20*time.Millisecond, func() { s.Finish(why) })
	if _, err := s.Follow(t.Context()).Read(make([]byte, 1)); !errors.Is(err, why) {
		t.Errorf("finished with an error: %v", err)
	}
	closing := newSpool(t)
	time.AfterFunc(20*time.Millisecond, func() { _ = closing.Close() })
	if _, err := closing.Follow(t.Context()).Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
}

func TestFullDiskIsASpoolError(t *testing.T) {
	t.Parallel()
	s, err := snapshot.NewSpool("/dev/shm")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.File().Close(); err != nil { // the nearest to a failing disk that needs no root
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, snapshot.ErrSpool) || !strings.Contains(err.Error(), "spool in /dev/shm: ") {
		t.Errorf("got %v", err)
	}
	if err := snapshot.Room("/dev/shm", 1<<60); !errors.Is(err, snapshot.ErrSpool) || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("room: %v", err)
	}
	if err := snapshot.Room("/dev/shm", 1); err != nil {
		t.Errorf("room for a byte: %v", err)
	}
	if err := s.Reserve(1 << 60); !errors.Is(err, snapshot.ErrSpool) || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("more room than there is, set aside: %v", err)
	}
	if err := s.Reserve(1); err != nil {
		t.Errorf("where no room can be set aside, writing has to tell: %v", err)
	}
}

func TestSpoolBesideADataDirectoryIsSeen(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if dir, ok := snapshot.SpoolOnEtcdDisk(t.TempDir(), data); ok {
		t.Errorf("%s holds no member, but was taken for one", dir)
	}
	if err := os.MkdirAll(filepath.Join(data, "member", "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	if dir, ok := snapshot.SpoolOnEtcdDisk(t.TempDir(), "/nonexistent", data); !ok || dir != data {
		t.Errorf("got %q, %v", dir, ok)
	}
	if dir, ok := snapshot.SpoolOnEtcdDisk("/proc", data); ok {
		t.Errorf("another device was taken for that of %s", dir)
	}
}
