package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/internal/disk/disktest"
)

// TestClonesBecomeWhatTheFirstIs while it changes: pages in the middle of pieces, at their edges, in what was a gap, and behind the old end, while they are
// copied and after. What is dead is in no clone.
func TestClonesBecomeWhatTheFirstIs(t *testing.T) {
	t.Parallel()
	const page, piece = 4096, disk.WritePart
	before := layout{Size: 3*cloneStep + 5*page, Gaps: []span{
		{piece / 2, piece}, {cloneStep - 3*page, 20 * page}, {2 * cloneStep, cloneStep / 2},
	}}
	after := layout{Size: before.Size + 9*page, Gaps: []span{
		{piece / 2, piece - page}, {cloneStep - 3*page, 20 * page}, {2*cloneStep + 7*piece, piece},
	}}
	dead := before.Gaps[1]
	for _, leave := range []bool{false, true} {
		src := plainFile(t, before.Size)
		change := func(at ...int64) {
			for _, at := range at {
				random(t, src, at, 2*page)
			}
		}
		c := newClones(src, []*os.File{plainFile(t, 0), plainFile(t, page), plainFile(t, 0)}, leave)
		var copied, compared atomic.Int64
		var meanwhile sync.Once
		c.start(t.Context(), before, func(n int64) {
			copied.Add(n)
			meanwhile.Do(func() { change(page, cloneStep+200*page, 2*cloneStep+cloneStep/2, 3*cloneStep) })
		})
		if err := c.wait(); err != nil {
			t.Fatal(err)
		}
		if want := 3 * before.bytes(); copied.Load() != want {
			t.Errorf("%d bytes were said to be copied, of %d", copied.Load(), want)
		}
		change(0, piece/2-2*page, piece+piece/2-page, cloneStep+piece-page, cloneStep+30*page, 2*cloneStep+page, before.Size)
		random(t, src, before.Size+2*page, 7*page)
		if err := c.settle(t.Context(), after, func(n int64) { compared.Add(n) }); err != nil {
			t.Fatal(err)
		}
		if compared.Load() != after.bytes() {
			t.Errorf("%d bytes were said to be compared, of %d", compared.Load(), after.bytes())
		}
		for _, dst := range c.dsts {
			got, want := content(t, dst), content(t, src)
			if int64(len(got)) != after.Size {
				t.Fatalf("a clone has %d bytes instead of %d", len(got), after.Size)
			}
			for _, s := range after.filled() {
				if !bytes.Equal(got[s.Off:s.Off+s.Len], want[s.Off:s.Off+s.Len]) {
					t.Errorf("a clone differs somewhere in the %d bytes from %d on (leave=%v)", s.Len, s.Off, leave)
				}
			}
			if !bytes.Equal(got[dead.Off:dead.Off+dead.Len], make([]byte, dead.Len)) {
				t.Errorf("what is dead in the first file is in a clone (leave=%v)", leave)
			}
		}
	}
}

// TestClonesLeaveThePageCache while they are filled, but for what is under way, and then all of it; and stay where they are needed.
func TestClonesLeaveThePageCache(t *testing.T) {
	t.Parallel()
	const size, ahead = 5*cloneStep + 1, cloneStep
	heeds := disktest.Heeds(t, plainFile(t, 0))
	src := plainFile(t, size)
	for _, leave := range []bool{false, true} {
		dst := plainFile(t, 0)
		c := newClones(src, []*os.File{dst}, leave)
		if leave {
			c.ahead = ahead
		}
		if err := c.fill(t.Context(), layout{Size: size}, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		// Two workers or more: each waits for its oldest step when it has sent another one.
		if in := disktest.Cached(t, dst); heeds && leave != (in <= 4*cloneStep) {
			t.Errorf("of %d bytes %d are in memory while the first file is edited (leave=%v)", size, in, leave)
		}
		if err := c.settle(t.Context(), layout{Size: size}, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		if in := disktest.Cached(t, dst); heeds && leave && in > 0 {
			t.Errorf("%d bytes of a clone are in memory when it is settled", in)
		}
	}
}

// TestOnlyWhatWasChangedIsWrittenAgain is seen in files that take the place of the clones after these were filled.
func TestOnlyWhatWasChangedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	src := plainFile(t, cloneStep+1)
	l := layout{Size: cloneStep + 1}
	c := newClones(src, []*os.File{plainFile(t, 0)}, false)
	if err := c.fill(t.Context(), l, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	changed := span{3 * disk.WritePart, disk.WritePart}
	other := content(t, src)[changed.Off+1] ^ 1
	if _, err := src.WriteAt([]byte{other}, changed.Off+1); err != nil {
		t.Fatal(err)
	}
	c.dsts[0] = plainFile(t, 0)
	if err := c.equalise(t.Context(), l, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, l.Size)
	copy(want[changed.Off:], content(t, src)[changed.Off:changed.Off+changed.Len])
	if got := content(t, c.dsts[0]); !bytes.Equal(got, want) {
		t.Error("something else was written again than the piece that was changed")
	}
}

// TestCopyingStopsAtTheFirstFailure with its reason: a clone that cannot be given its size, one that cannot be read back, one that does not hold what was written to
// it, a first file that ends too early, and a context that ends before or meanwhile.
func TestCopyingStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	const steps = 8 // more than there are workers
	src := plainFile(t, steps*cloneStep)
	reason := errors.New("enough")
	before, endBefore := context.WithCancelCause(t.Context())
	endBefore(reason)
	meanwhile, endMeanwhile := context.WithCancelCause(t.Context())
	defer endMeanwhile(nil)
	for _, c := range []struct {
		name string
		ctx  context.Context
		dst  *os.File
		size int64
		most int64 // bytes that may have been copied
		want error
	}{
		{"read only", t.Context(), reopened(t, os.O_RDONLY), steps * cloneStep, 0, syscall.EINVAL},
		{"write only", t.Context(), reopened(t, os.O_WRONLY), steps * cloneStep, 0, syscall.EBADF},
		{"elsewhere", t.Context(), appending(t), steps * cloneStep, 0, nil},
		{"too short", t.Context(), plainFile(t, 0), steps*cloneStep + 1, steps * cloneStep, io.ErrUnexpectedEOF},
		{"ended", before, plainFile(t, 0), steps * cloneStep, 0, reason},
		{"ends", meanwhile, plainFile(t, 0), steps * cloneStep, maxCloners * cloneStep, reason},
	} {
		var copied atomic.Int64
		err := newClones(src, []*os.File{c.dst}, true).fill(c.ctx, layout{Size: c.size}, func(n int64) {
			copied.Add(n)
			if c.ctx == meanwhile {
				endMeanwhile(reason)
			}
		})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if copied.Load() > c.most {
			t.Errorf("%s: %d bytes were said to be copied", c.name, copied.Load())
		}
	}
}

// TestSpansAreCutAtTheSamePlaces wherever they begin.
func TestSpansAreCutAtTheSamePlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    span
		want []span
	}{
		{span{0, 0}, nil},
		{span{0, 10}, []span{{0, 10}}},
		{span{0, 25}, []span{{0, 10}, {10, 10}, {20, 5}}},
		{span{7, 3}, []span{{7, 3}}},
		{span{7, 14}, []span{{7, 3}, {10, 10}, {20, 1}}},
	} {
		if got := slices.Collect(c.s.cut(10)); !slices.Equal(got, c.want) {
			t.Errorf("%v is cut into %v", c.s, got)
		}
	}
}

// plainFile is a file of random bytes.
func plainFile(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	random(t, f, 0, size)
	return f
}

// reopened is an empty file, for some things only.
func reopened(t *testing.T, how int) *os.File {
	t.Helper()
	f, err := os.OpenFile(plainFile(t, 0).Name(), how, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// appending is a file that writes at its end whatever place it is told, and says that all is well.
func appending(t *testing.T) *os.File {
	t.Helper()
	f := plainFile(t, 0)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, unix.O_APPEND); err != nil {
		t.Fatal(err)
	}
	return f
}

func random(t *testing.T, f *os.File, off, n int64) {
	t.Helper()
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(off), byte(n), byte(rand.Uint32())}).Read(b)
	if _, err := f.WriteAt(b, off); err != nil {
		t.Error(err) // no goroutine of the test's own may end it
	}
}

func content(t *testing.T, f *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
