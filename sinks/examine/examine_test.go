package examine_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/examine"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// altered is a sink some of whose calls do something else.
type altered struct {
	sinks.Sink
	put    func(ctx context.Context, key string, body io.ReaderAt, size int64) error
	list   func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error]
	remove func(ctx context.Context, key string) error
}

func (a *altered) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if a.put != nil {
		return a.put(ctx, key, body, size)
	}
	return a.Sink.Put(ctx, key, body, size)
}

func (a *altered) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	if a.list != nil {
		return a.list(ctx, prefix)
	}
	return a.Sink.List(ctx, prefix)
}

func (a *altered) Delete(ctx context.Context, key string) error {
	if a.remove != nil {
		return a.remove(ctx, key)
	}
	return a.Sink.Delete(ctx, key)
}

// Policy makes it a store whose credentials can be restricted.
func (a *altered) Policy(sinks.Role) string { return "" }

// writer is a credential that cannot delete.
func writer(s sinks.Sink) *altered {
	return &altered{Sink: s, remove: func(ctx context.Context, key string) error {
		if sinks.CheckKey(key) != nil || ctx.Err() != nil {
			return s.Delete(ctx, key)
		}
		return &sinks.Error{Op: "delete", Sink: "writer", Key: key, Err: sinks.Because("access denied", fs.ErrPermission)}
	}}
}

func run(t *testing.T, s sinks.Sink, o examine.Options) examine.Report {
	t.Helper()
	r, err := examine.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keys(t *testing.T, s sinks.Sink) (all []string) {
	t.Helper()
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Key)
	}
	return all
}

func of(r examine.Report, name string) examine.Result {
	for _, res := range r.Results {
		if res.Name == name {
			return res
		}
	}
	return examine.Result{}
}

func TestAGoodSinkKeepsEveryPromiseAndNothingStays(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := run(t, s, examine.Options{})
	for _, res := range r.Results {
		if res.State != examine.OK {
			t.Errorf("%+v", res)
		}
	}
	if got, want := len(r.Results), len(conform.Checks())+1; got != want {
		t.Errorf("%d results, want %d", got, want)
	}
	if left := keys(t, s); len(left) > 0 || len(r.Left) > 0 || r.LeftWhy != nil {
		t.Errorf("left behind: %q, told %v, %v", left, r.Left, r.LeftWhy)
	}
}

func TestADirectoryIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/v1/prod/manifests", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := file.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if broken := run(t, s, examine.Options{}).Failed(); len(broken) > 0 {
		t.Errorf("broken: %q", broken)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "v1" {
		t.Errorf("in the directory are %v, %v", entries, err)
	}
	if _, err := os.Stat(dir + "/v1/prod/manifests"); err != nil {
		t.Error(err)
	}
}

func TestACredentialThatCannotDeleteBreaksNothingAndLeavesLittle(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	s := writer(inner)
	r := run(t, s, examine.Options{})
	for _, name := range r.Failed() {
		t.Errorf("broken: %+v", of(r, name))
	}
	if res := of(r, "this credential cannot delete"); res.State != examine.OK || !strings.Contains(res.Detail, "access denied") {
		t.Errorf("of the credential it says %+v", res)
	}
	for name, want := range map[string]examine.State{
		"deleting": examine.Unknown, "a deleted key can be put again": examine.Unknown, "listing 1005 objects": examine.Unknown,
		"a put does not replace": examine.OK, "a put in parts does not replace": examine.OK, "of eight racing puts one wins": examine.OK,
		"an object of a part and a byte": examine.OK, "opening past the end is refused": examine.OK, "unusual characters in keys": examine.OK,
	} {
		if res := of(r, name); res.State != want {
			t.Errorf("%s is %s (%s), want %s", name, res.State, res.Detail, want)
		}
	}
	there := keys(t, inner)
	if len(there) != len(r.Left) || r.LeftWhy == nil {
		t.Errorf("%d objects stay, told are %d, because %v", len(there), len(r.Left), r.LeftWhy)
	}
	if n := r.LeftBytes(); n > 1<<20+512<<10 { // mem has parts of 1 MiB
		t.Errorf("%d bytes stay in %d objects", n, len(there))
	}
	for _, key := range there {
		if !strings.HasPrefix(key, examine.Root) {
			t.Errorf("%s is outside", key)
		}
	}
}

func TestAnotherCredentialRemovesWhatAWriterPut(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	r := run(t, writer(inner), examine.Options{Remover: inner})
	for _, res := range r.Results {
		if res.State != examine.OK {
			t.Errorf("%+v", res)
		}
	}
	if left := keys(t, inner); len(left) > 0 || len(r.Left) > 0 {
		t.Errorf("left behind: %q, told %v", left, r.Left)
	}
	if res := of(r, "this credential cannot delete"); res.State != examine.OK {
		t.Errorf("of the writer's credential it says %+v", res)
	}
}

func TestASinkThatReplacesIsFailed(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	s := &altered{Sink: inner, put: func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
		err := inner.Put(ctx, key, body, size)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		return errors.Join(inner.Delete(ctx, key), inner.Put(ctx, key, body, size))
	}}
	r := run(t, s, examine.Options{})
	broken := strings.Join(r.Failed(), "; ")
	for _, name := range []string{"a put does not replace", "of eight racing puts one wins"} {
		if !strings.Contains(broken, name) {
			t.Errorf("%q is not among the broken: %s", name, broken)
		}
	}
	if len(r.Left) > 0 {
		t.Errorf("left behind: %v", r.Left)
	}
	if res := of(r, "this credential cannot delete"); res.State != examine.Advice {
		t.Errorf("of a credential that deletes it says %+v", res)
	}
}

// unconditional is a sink whose store has no conditional writes, and that was told so.
type unconditional struct{ *altered }

func (unconditional) Conditional() bool { return false }

func TestALostRaceIsAdviceWhereConditionalWritesAreTurnedOff(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	var one sync.Mutex // else all might delete before the first of them puts
	s := unconditional{&altered{Sink: inner, put: func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
		if strings.Contains(key, "race") || strings.Contains(key, "racing") {
			one.Lock()
			defer one.Unlock()
			_ = inner.Delete(ctx, key) // the last one stays
		}
		return inner.Put(ctx, key, body, size)
	}}}
	r := run(t, s, examine.Options{})
	if broken := r.Failed(); len(broken) > 0 {
		t.Errorf("broken: %q", broken)
	}
	for _, c := range conform.Races() {
		if res := of(r, c.Name); res.State != examine.Advice || !strings.Contains(res.Detail, "turned off") {
			t.Errorf("%s: %+v", c.Name, res)
		}
	}
}

func TestAnInterruptedCheckLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 10, 30} {
		s := mem.New()
		stop := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		ran := 0
		r, err := examine.Run(ctx, s, examine.Options{Progress: func(done, _ int, _ string) {
			if ran = done; done == after {
				cancel(stop)
			}
		}})
		if !errors.Is(err, stop) || ran < after {
			t.Errorf("after %d checks of %d: %v", ran, after, err)
		}
		if left := keys(t, s); len(left) > 0 || len(r.Left) > 0 {
			t.Errorf("interrupted after %d: left behind %q, told %v", after, left, r.Left)
		}
	}
}

// slow is a store that carries out a request to begin an upload some time after its caller has gone.
type slow struct {
	busy
	gone time.Time
}

func (s *slow) Uploads(ctx context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	if !s.gone.IsZero() && time.Since(s.gone) > time.Second && len(s.aborted) == 0 {
		s.uploads = []sinks.Upload{{Key: prefix + "late", Started: time.Now()}}
	}
	return s.busy.Uploads(ctx, prefix)
}

func (s *slow) Abort(ctx context.Context, u sinks.Upload) error {
	s.uploads = nil
	return s.busy.Abort(ctx, u)
}

func TestAnInterruptedCheckGivesUpWhatTheStoreBeginsLate(t *testing.T) {
	t.Parallel()
	s := &slow{busy: busy{Sink: mem.New()}}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := examine.Run(ctx, s, examine.Options{Progress: func(int, int, string) {
		if s.gone.IsZero() {
			s.gone = time.Now()
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) || len(r.Left) > 0 || r.LeftWhy != nil {
		t.Errorf("%v, left %v: %v", err, r.Left, r.LeftWhy)
	}
	if len(s.aborted) != 1 || len(s.uploads) > 0 {
		t.Errorf("given up were %q, %d are left", s.aborted, len(s.uploads))
	}
}

func TestWhatCannotBeRemovedIsNamed(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	s := &altered{Sink: inner, remove: func(ctx context.Context, key string) error {
		if strings.Contains(key, "/of-eight-racing-puts-one-wins/") {
			return &sinks.Error{Op: "delete", Sink: "stubborn", Key: key, Err: errors.New("not today")}
		}
		return inner.Delete(ctx, key)
	}}
	r := run(t, s, examine.Options{})
	if len(r.Left) != 1 || !strings.Contains(r.Left[0].Key, "/of-eight-racing-puts-one-wins/") || r.LeftBytes() != 1000 || r.LeftWhy == nil {
		t.Errorf("left are %v (%d bytes), because %v", r.Left, r.LeftBytes(), r.LeftWhy)
	}
}

func TestAWrongClockIsSeen(t *testing.T) {
	t.Parallel()
	for drift, want := range map[time.Duration]examine.State{
		0: examine.OK, 2 * time.Minute: examine.OK, -2 * time.Minute: examine.OK, 4 * time.Minute: examine.Advice, -4 * time.Minute: examine.Advice,
	} {
		inner := mem.New()
		s := &altered{Sink: inner, list: func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
			return func(yield func(sinks.Object, error) bool) {
				for o, err := range inner.List(ctx, prefix) {
					o.ModTime = o.ModTime.Add(drift)
					if !yield(o, err) {
						return
					}
				}
			}
		}}
		if res := of(run(t, s, examine.Options{}), "clock"); res.State != want {
			t.Errorf("a clock %v off is %s: %s", drift, res.State, res.Detail)
		}
	}
}

func TestASinkThatCannotBeUsedIsAnError(t *testing.T) {
	t.Parallel()
	refused := &sinks.Error{Op: "put", Sink: "closed", Err: sinks.Because("access denied", fs.ErrPermission)}
	s := &altered{Sink: mem.New(), put: func(context.Context, string, io.ReaderAt, int64) error { return refused }}
	if r, err := examine.Run(t.Context(), s, examine.Options{}); !errors.Is(err, refused) || len(r.Results) > 0 {
		t.Errorf("%v, %d results", err, len(r.Results))
	}
}

// busy is a store with uploads under way.
type busy struct {
	sinks.Sink
	uploads []sinks.Upload
	err     error
	aborted []string
}

func (b *busy) Uploads(_ context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	return func(yield func(sinks.Upload, error) bool) {
		for _, u := range b.uploads {
			if strings.HasPrefix(u.Key, prefix) && !yield(u, nil) {
				return
			}
		}
		if b.err != nil {
			yield(sinks.Upload{}, b.err)
		}
	}
}

func (b *busy) Abort(_ context.Context, u sinks.Upload) error {
	b.aborted = append(b.aborted, u.Key)
	return nil
}

func TestOldUnfinishedUploadsAreToldAndLeftAlone(t *testing.T) {
	t.Parallel()
	young := sinks.Upload{Key: "v1/prod/snapshots/b", Started: time.Now().Add(-time.Hour)}
	old := sinks.Upload{Key: "v1/prod/snapshots/a", Started: time.Now().Add(-48 * time.Hour)}
	denied := &sinks.Error{Op: "list", Sink: "busy", Err: errors.New("access denied"), Hint: "needs a permission"}
	for _, c := range []struct {
		sink  *busy
		want  examine.State
		words string
	}{
		{&busy{uploads: []sinks.Upload{young}}, examine.OK, "none"},
		{&busy{uploads: []sinks.Upload{young, old}}, examine.Advice, "1 are older"},
		{&busy{err: denied}, examine.Unknown, "cannot tell: access denied: needs a permission"},
	} {
		c.sink.Sink = mem.New()
		res := of(run(t, c.sink, examine.Options{}), "unfinished uploads")
		if res.State != c.want || !strings.Contains(res.Detail, c.words) {
			t.Errorf("%+v, want %s and %q", res, c.want, c.words)
		}
		if len(c.sink.aborted) > 0 {
			t.Errorf("given up were %q", c.sink.aborted)
		}
	}
}
