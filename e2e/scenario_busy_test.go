package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestABackupIsWholeWhateverTheClusterDoesMeanwhile takes backups of a cluster that is written to, whose leader moves, whose history is compacted, and
// whose members die in the middle of the stream, over a line that crawls until enough of that has happened.
func TestABackupIsWholeWhateverTheClusterDoesMeanwhile(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", TLS: true}, kubedata.Options{Keys: 600, Bytes: 5 << 20, Seed: 12})
	conf := s.ClientTLS(t)
	t.Run("the leader moves every second", func(t *testing.T) {
		writes := s.meanwhile(t, 20*time.Millisecond, s.write)
		moves := s.meanwhile(t, time.Second, func(ctx context.Context, c *clientv3.Client, _ int64) error {
			return s.moveLeader(ctx, c, conf, func(i int) int { return (i + 1) % len(s.Members()) })
		})
		line := relays(t, s.Cluster, func(_ int, r *relay) { r.slow = moves.lessThan(3) })
		before := writes.done.Load()
		b := s.backup(t, urlsOf(line)...)
		if n := moves.sinceBegan(); n < 3 {
			t.Errorf("the leader moved %d times", n)
		}
		if b.Revision < b.LinearizableRevision || writes.done.Load() == before {
			t.Errorf("revision %d, linearizable %d", b.Revision, b.LinearizableRevision)
		}
		writes.stop()
		moves.stop()
		s.comesBack(t, "3.6", b)
	})
	t.Run("history is compacted every 100 ms", func(t *testing.T) {
		writes := s.meanwhile(t, 20*time.Millisecond, s.write)
		compactions := s.meanwhile(t, 100*time.Millisecond, s.compact)
		line := relays(t, s.Cluster, func(_ int, r *relay) { r.slow = compactions.lessThan(10) })
		before := writes.done.Load()
		b := s.backup(t, urlsOf(line)...)
		if n := compactions.sinceBegan(); n < 10 || writes.done.Load() == before {
			t.Errorf("%d compactions", n)
		}
		if b.HashKV.CompactRevision <= 0 {
			t.Error("nothing of it was compacted")
		}
		writes.stop()
		compactions.stop()
		s.comesBack(t, "3.6", b)
	})
	s.whole(t)
	t.Run("the source dies in the middle", s.diesInTheMiddle)
	s.whole(t)
}

// diesInTheMiddle takes a backup whose source is killed after the first MiBs: the next member is used, from zero.
func (s *scene) diesInTheMiddle(t *testing.T) {
	const after = 2 << 20
	died := make(chan int, 1)
	line := relays(t, s.Cluster, func(i int, r *relay) {
		r.at = func(passed int64) {
			if passed < after {
				return
			}
			select {
			case died <- i: // the first; the next one is passed whole
				s.Kill(t, i)
				r.cut()
			default:
			}
		}
	})
	b := s.backup(t, urlsOf(line)...)
	dead := <-died
	from := slices.Index(urlsOf(line), b.Source.Endpoint)
	if from < 0 || from == dead || b.Source.MemberName != s.Members()[from].Name {
		t.Fatalf("the source is said to be %+v, and %s was killed", b.Source, s.Members()[dead].Name)
	}
	if n := line[from].passed.Load(); n < b.Plain.Size {
		t.Errorf("%d bytes of %d came from %s: it was not begun from zero", n, b.Plain.Size, b.Source.MemberName)
	}
	mustSay(t, "backup", b.said, `endpoint=`+line[dead].url)
	s.comesBack(t, "3.6", b)
	s.Start(t, dead)
}

// A busy does something again and again, until it is told to stop.
type busy struct {
	done  atomic.Int64 // times that it succeeded
	began atomic.Int64 // done when the stream was well under way; -1 before
	stop  func()
}

func (s *scene) meanwhile(t *testing.T, every time.Duration, do func(ctx context.Context, c *clientv3.Client, n int64) error) *busy {
	t.Helper()
	c := s.Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := &busy{}
	b.began.Store(-1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			short, stop := context.WithTimeout(ctx, 5*time.Second)
			if do(short, c, b.done.Load()) == nil {
				b.done.Add(1)
			}
			stop()
			select {
			case <-ctx.Done():
			case <-time.After(every):
			}
		}
	})
	b.stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(b.stop)
	return b
}

// lessThan is for a relay, which crawls from the first MiB of the stream on until this has been done n times.
func (b *busy) lessThan(n int64) func(passed int64) bool {
	return func(passed int64) bool {
		if passed < 1<<20 {
			return false
		}
		b.began.CompareAndSwap(-1, b.done.Load())
		return b.sinceBegan() < n
	}
}

// sinceBegan is how often it was done while the stream was under way.
func (b *busy) sinceBegan() int64 {
	if b.began.Load() < 0 {
		return 0
	}
	return b.done.Load() - b.began.Load()
}

func (s *scene) write(ctx context.Context, c *clientv3.Client, n int64) error {
	_, err := c.Put(ctx, fmt.Sprintf("/registry/configmaps/default/meanwhile-%d", n%50), fmt.Sprintf("value %d", n))
	return err
}

func (s *scene) compact(ctx context.Context, c *clientv3.Client, _ int64) error {
	got, err := c.Get(ctx, "x")
	if err != nil {
		return err
	}
	_, err = c.Compact(ctx, got.Header.Revision)
	return err
}

// moveLeader has the leader hand over to the member that next chooses by the leader's place.
func (s *scene) moveLeader(ctx context.Context, c *clientv3.Client, conf *tls.Config, next func(leader int) int) error {
	ids := make([]uint64, len(s.Members()))
	leader := -1
	for i, m := range s.Members() {
		st, err := c.Status(ctx, m.ClientURL)
		if err != nil {
			return err
		}
		if ids[i] = st.Header.MemberId; st.Leader == ids[i] {
			leader = i
		}
	}
	if leader < 0 {
		return errors.New("no member leads")
	}
	to := next(leader)
	if to == leader {
		return nil
	}
	// Only the leader itself can hand over.
	one, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Members()[leader].ClientURL}, TLS: conf, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer one.Close()
	_, err = one.MoveLeader(ctx, ids[to])
	return err
}
