package snapshot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestSavedFileIsWhatWasSentInWhateverPieces(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(40 * 4096))
	sum := sha256.Sum256(file)
	for _, blob := range []int{1, 31, 32, 33, 512, 4096, 32 << 10, 1 << 20} {
		t.Run(sizes(blob), func(t *testing.T) {
			t.Parallel()
			body := file
			if blob < 512 {
				body = withTrailer(file[:512*3])
			}
			var done, total int64
			got, saved, err := saveFrom(t, &liar{stream: func(s pb.Maintenance_SnapshotServer) error {
				return send(s, body, blob, len(body))
			}}, snapshot.SaveOptions{Progress: func(d, t int64) { done, total = d, t }})
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes arrived of %d, %v", len(got), len(body), err)
			}
			if len(body) == len(file) && saved.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("SHA-256 %s, want %x", saved.SHA256, sum)
			}
			if saved.Size != int64(len(body)) || done != saved.Size || total != saved.Size || saved.Version != "3.7.0" {
				t.Errorf("got %+v, progress %d of %d", saved, done, total)
			}
		})
	}
}

func TestTruncatedStreamIsDamageOfThatEndpoint(t *testing.T) {
	t.Parallel()
	const blob = 32 << 10
	file := withTrailer(pseudo(6*blob + 4096))
	cut := 0
	for upTo := 0; upTo < len(file); upTo += blob {
		for _, at := range []int{upTo, upTo + 32, len(file) - 32, len(file) - 1} {
			l := &liar{stream: func(s pb.Maintenance_SnapshotServer) error { return send(s, file, blob, at) }}
			_, _, err := saveFrom(t, l, snapshot.SaveOptions{})
			var e *snapshot.EndpointError
			if !errors.Is(err, snapshot.ErrDamaged) || !errors.As(err, &e) || !strings.HasPrefix(e.Endpoint, "http://127.0.0.1:") {
				t.Errorf("cut at %d of %d: %v", at, len(file), err)
			}
			cut++
		}
	}
	t.Logf("%d truncated streams refused", cut)
}

// TestAnAnnouncementThatCannotBeIsDamage has a member announce more bytes than there are numbers for: no room is set aside for them.
func TestAnAnnouncementThatCannotBeIsDamage(t *testing.T) {
	t.Parallel()
	for _, remaining := range []uint64{math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64 - 4096} {
		l := &liar{stream: func(s pb.Maintenance_SnapshotServer) error {
			return s.Send(&pb.SnapshotResponse{RemainingBytes: remaining, Blob: pseudo(4096)})
		}}
		l.status.DbSize = 8192
		_, _, err := saveFrom(t, l, snapshot.SaveOptions{})
		if !errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrSpool) {
			t.Errorf("%d bytes to come: %v", remaining, err)
		}
	}
}

func TestStreamThatBreaksIsTheMembersFailure(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(1 << 20))
	_, _, err := saveFrom(t, &liar{stream: func(s pb.Maintenance_SnapshotServer) error {
		_ = send(s, file, 32<<10, 256<<10)
		return status.Error(codes.Unavailable, "etcdserver: server stopped")
	}}, snapshot.SaveOptions{})
	if !errors.Is(err, snapshot.ErrUnavailable) || !strings.Contains(err.Error(), "broke after 262144 of 1048608 bytes: server stopped") {
		t.Errorf("got %v", err)
	}
}

func TestWrongContentsAreDamage(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(64 << 10))
	flipped := bytes.Clone(file)
	flipped[len(flipped)/2] ^= 4
	odd := withTrailer(pseudo(1000))
	for name, stream := range map[string]func(pb.Maintenance_SnapshotServer) error{
		"a flipped bit":         func(s pb.Maintenance_SnapshotServer) error { return send(s, flipped, 32<<10, len(flipped)) },
		"no whole pages":        func(s pb.Maintenance_SnapshotServer) error { return send(s, odd, 32<<10, len(odd)) },
		"nothing at all":        func(pb.Maintenance_SnapshotServer) error { return nil },
		"only an empty message": func(s pb.Maintenance_SnapshotServer) error { return s.Send(&pb.SnapshotResponse{RemainingBytes: 4096}) },
		"more than announced": func(s pb.Maintenance_SnapshotServer) error {
			for {
				if err := s.Send(&pb.SnapshotResponse{RemainingBytes: 8192, Blob: pseudo(4096)}); err != nil {
					return err
				}
			}
		},
	} {
		_, _, err := saveFrom(t, &liar{stream: stream}, snapshot.SaveOptions{})
		if !errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStalledStreamIsLeft(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(1 << 20))
	for name, stream := range map[string]func(pb.Maintenance_SnapshotServer) error{
		"from the start": hang,
		"in the middle": func(s pb.Maintenance_SnapshotServer) error {
			_ = send(s, file, 32<<10, 512<<10)
			return hang(s)
		},
		"with empty messages for ever": func(s pb.Maintenance_SnapshotServer) error {
			for s.Send(&pb.SnapshotResponse{RemainingBytes: 1 << 20}) == nil {
			}
			return nil
		},
		"drip by drip": func(s pb.Maintenance_SnapshotServer) error {
			for s.Send(&pb.SnapshotResponse{RemainingBytes: 1 << 20, Blob: []byte{1}}) == nil {
				time.Sleep(time.Millisecond)
			}
			return nil
		},
		"before the trailer": func(s pb.Maintenance_SnapshotServer) error {
			_ = send(s, file, 32<<10, 1<<20)
			return hang(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, _, err := saveFrom(t, &liar{stream: stream}, snapshot.SaveOptions{Stall: soon})
			if !errors.Is(err, snapshot.ErrUnavailable) || !strings.Contains(err.Error(), "stalled: less than 64 KiB in 150ms") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("left only after %v", took)
			}
		})
	}
}

// TestSlowButSteadyStreamIsNoStall sends 64 KiB within each period, for ten of them.
func TestSlowButSteadyStreamIsNoStall(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(10 * 64 << 10))
	_, saved, err := saveFrom(t, &liar{stream: func(s pb.Maintenance_SnapshotServer) error {
		for off := 0; off < len(file)-32; off += 32 << 10 {
			time.Sleep(100 * time.Millisecond)
			if err := s.Send(&pb.SnapshotResponse{RemainingBytes: uint64(len(file) - 32 - off - 32<<10), Blob: file[off : off+32<<10]}); err != nil {
				return err
			}
		}
		return s.Send(&pb.SnapshotResponse{Blob: file[len(file)-32:]})
	}}, snapshot.SaveOptions{Stall: time.Second})
	if err != nil || saved.Size != int64(len(file)) {
		t.Errorf("got %+v, %v", saved, err)
	}
}

// slowDisk takes longer for a write than a member may take for its bytes.
type slowDisk struct{ writes int }

func (d *slowDisk) Write(p []byte) (int, error) {
	if d.writes++; d.writes == 1 {
		time.Sleep(1500 * time.Millisecond)
	}
	return len(p), nil
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOurOwnDiskIsNotTheMembersFault(t *testing.T) {
	t.Parallel()
	file := withTrailer(pseudo(1 << 20))
	l := &liar{stream: func(s pb.Maintenance_SnapshotServer) error { return send(s, file, 32<<10, len(file)) }}
	c := connect(t, snapshot.Config{Endpoints: []string{l.serve(t)}})
	ep := survey(t, c).Candidates[0]
	if _, err := c.Save(t.Context(), ep, &slowDisk{}, snapshot.SaveOptions{Stall: time.Second}); err != nil {
		t.Errorf("slow disk: %v", err)
	}
	_, err := c.Save(t.Context(), ep, fullDisk{}, snapshot.SaveOptions{})
	if !errors.Is(err, snapshot.ErrSpool) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, snapshot.ErrUnavailable) {
		t.Errorf("full disk: %v", err)
	}
}

func TestCancelledSaveEndsAtOnce(t *testing.T) {
	t.Parallel()
	c := connect(t, snapshot.Config{Endpoints: []string{(&liar{stream: hang}).serve(t)}})
	ep := survey(t, c).Candidates[0]
	why := errors.New("told to")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	start := time.Now()
	_, err := c.Save(ctx, ep, fullDisk{}, snapshot.SaveOptions{})
	if !errors.Is(err, why) || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestSaveFailsOverToTheNextMember(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7"})
	put(t, lc.Client(t), "key", "value")
	c := connect(t, config(t, lc))
	s := survey(t, c)
	if len(s.Candidates) != 3 {
		t.Fatalf("candidates %+v, excluded %+v", s.Candidates, s.Excluded)
	}
	for i, m := range lc.Members() {
		if m.ClientURL == s.Candidates[0].URL {
			lc.Kill(t, i)
		}
	}
	spool := newSpool(t)
	_, err := c.Save(t.Context(), s.Candidates[0], spool, snapshot.SaveOptions{})
	if !errors.Is(err, snapshot.ErrUnavailable) {
		t.Fatalf("from a killed member: %v", err)
	}
	if err := spool.Reset(); err != nil {
		t.Fatal(err)
	}
	saved, err := c.Save(t.Context(), s.Candidates[1], spool, snapshot.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info := inspect(t, spool.File(), snapshot.InspectOptions{})
	if info.SHA256 != saved.SHA256 || info.Size != saved.Size || !info.TrailerOK {
		t.Errorf("saved %+v, in the file %s", saved, info.SHA256)
	}
	if err := info.Fresh(s.R0); err != nil {
		t.Error(err)
	}
	if err := info.Fresh(info.Revision + 1); !errors.Is(err, snapshot.ErrStale) {
		t.Errorf("a file below R0: %v", err)
	}
}
