package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

const (
	key  = "some/key"
	text = "sixteen letters."
)

func TestWithoutAFaultTheContractHolds(t *testing.T) {
	t.Parallel()
	s := fault.New(fault.Options{}).Of(mem.New())
	for _, c := range conform.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(t.Context(), s, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// script makes every kind of call once and tells what became of each.
func script(ctx context.Context, s sinks.Sink) map[fault.Op]error {
	got := map[fault.Op]error{fault.Put: s.Put(ctx, "new", strings.NewReader(text), int64(len(text)))}
	for _, err := range s.List(ctx, "some/") {
		if err != nil {
			got[fault.List] = err
		}
	}
	r, err := s.Open(ctx, key, 0)
	if got[fault.Open] = err; err == nil {
		data, err := io.ReadAll(r)
		if got[fault.Read] = errors.Join(err, r.Close()); err == nil && string(data) != text {
			got[fault.Read] = fmt.Errorf("a lie: %q", data)
		}
	}
	got[fault.Delete] = s.Delete(ctx, key)
	return got
}

// filled is a sink in memory with one object.
func filled(t *testing.T) *mem.Sink {
	t.Helper()
	m := mem.New()
	if err := m.Put(t.Context(), key, strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
	return m
}

func holds(t *testing.T, m *mem.Sink, key string) bool {
	t.Helper()
	r, err := m.Open(t.Context(), key, 0)
	if err == nil {
		_ = r.Close()
	}
	return err == nil
}

// matches is what every kind of fault must match, besides ErrInjected.
func matches() map[fault.Kind]error {
	return map[fault.Kind]error{
		fault.Short: io.ErrUnexpectedEOF, fault.EOF: io.EOF, fault.Hang: sinks.ErrStalled,
		fault.Forbidden: fs.ErrPermission, fault.Expired: fs.ErrPermission, fault.Exists: fs.ErrExist,
	}
}

// TestEveryFaultIsDoneAtEveryCallAndDoesWhatItSays goes through all calls of a script and all kinds.
func TestEveryFaultIsDoneAtEveryCallAndDoesWhatItSays(t *testing.T) {
	t.Parallel()
	clean := fault.New(fault.Options{})
	for op, err := range script(t.Context(), clean.Of(filled(t))) {
		if err != nil {
			t.Fatalf("%s without a fault: %v", op, err)
		}
	}
	calls := clean.Calls()
	// A listing has a call for its one object and one for its end, a reader one for the bytes and one for the end.
	if len(calls) != 7 {
		t.Fatalf("calls: %v", calls)
	}
	for _, c := range calls {
		for _, kind := range fault.Kinds() {
			t.Run(fmt.Sprintf("%s/%s", c, kind), func(t *testing.T) {
				m := filled(t)
				f := fault.New(fault.Options{At: c.Same, Kind: kind, Stall: time.Millisecond})
				got := script(t.Context(), f.Of(m))
				if f.Injected() != 1 {
					t.Fatalf("the fault was done %d times", f.Injected())
				}
				for op, err := range got {
					if op != c.Op && err != nil {
						t.Errorf("%s fails as well: %v", op, err)
					}
				}
				judge(t, c, kind, got[c.Op])
				if put := holds(t, m, "new"); put != (c.Op != fault.Put || kind == fault.After) {
					t.Errorf("the new object is there: %v", put)
				}
				if left := holds(t, m, key); left != (c.Op == fault.Delete && kind != fault.After) {
					t.Errorf("the deleted object is there: %v", left)
				}
			})
		}
	}
}

// judge looks at the error of the call that was to fail.
func judge(t *testing.T, c fault.Call, kind fault.Kind, err error) {
	t.Helper()
	if c.Op == fault.Read && kind == fault.EOF {
		if lied := err != nil && err.Error() == `a lie: ""`; lied != (c.Nth == 0) { // the second read has nothing to add
			t.Errorf("the end that came too early gives: %v", err)
		}
		return
	}
	var e *sinks.Error
	if !errors.As(err, &e) || e.Op != string(c.Op) || e.Sink != "memory" || !errors.Is(err, fault.ErrInjected) {
		t.Errorf("error %v", err)
	}
	for other, want := range matches() {
		if same := want == matches()[kind]; errors.Is(err, want) != same {
			t.Errorf("error %v, of the kind of %s", err, other)
		}
	}
}

func TestReadsThatFailGiveWhatTheySay(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fault.Kind]string{fault.Before: "", fault.After: text, fault.Short: text[:8], fault.EOF: ""} {
		f := fault.New(fault.Options{At: fault.Index(1), Kind: kind})
		r, err := f.Of(filled(t)).Open(t.Context(), key, 0)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, len(text))
		n, err := r.Read(buf)
		if string(buf[:n]) != want || err == nil {
			t.Errorf("%s: %q, %v", kind, buf[:n], err)
		}
		if n, again := r.Read(buf); n > 0 || !errors.Is(again, err) {
			t.Errorf("%s, asked again: %d bytes, %v", kind, n, again)
		}
	}
}

func TestHangsEndWithTheStallDeadlineOrTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := fault.New(fault.Options{At: fault.Index(0), Kind: fault.Hang, Lasting: true})
		if err := f.Of(mem.New()).Delete(t.Context(), key); !errors.Is(err, sinks.ErrStalled) || time.Since(began) != sinks.StallAfter {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := f.Of(mem.New()).Delete(ctx, key); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sinks.ErrStalled) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestALastingFaultGoesOnAndAnotherDoesNot(t *testing.T) {
	t.Parallel()
	for _, lasting := range []bool{false, true} {
		f := fault.New(fault.Options{At: fault.Index(1), Kind: fault.Unavailable, Lasting: lasting})
		s, failed := f.Of(mem.New()), 0
		for range 5 {
			if s.Delete(t.Context(), key) != nil {
				failed++
			}
		}
		if want := map[bool]int{false: 1, true: 4}[lasting]; failed != want || f.Injected() != want {
			t.Errorf("lasting %v: %d failed, and %d were injected", lasting, failed, f.Injected())
		}
	}
}

func TestCallsAreNamedWithoutChance(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.Options{Name: func(key string) string { return strings.TrimRight(key, "0123456789") }})
	s := f.Of(mem.New())
	for _, key := range []string{"a-17", "a-4", "b-1"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(f.Calls()); got != "[delete a- #0 delete a- #1 delete b- #0]" {
		t.Error(got)
	}
}

// versions is a sink that can do all that a sink may be able to.
type versions struct{ *mem.Sink }

func (v versions) Versions(context.Context, string) ([]sinks.Version, error) {
	return []sinks.Version{{ID: "old"}}, nil
}

func (v versions) OpenVersion(ctx context.Context, key, _ string, off int64) (io.ReadCloser, error) {
	return v.Open(ctx, key, off)
}

func (v versions) Hidden(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return v.List(ctx, prefix)
}

type examined struct{}

func (examined) Examine(context.Context, string) []sinks.Finding {
	return []sinks.Finding{{Name: "lock", OK: true}}
}

type unfinished struct{ aborted *int }

func (unfinished) Uploads(context.Context, string) iter.Seq2[sinks.Upload, error] {
	return func(func(sinks.Upload, error) bool) {}
}

func (u unfinished) Abort(context.Context, sinks.Upload) error {
	*u.aborted++
	return nil
}

// able is a sink that can do what the bits say: versions, unfinished uploads, examination.
func able(t *testing.T, bits int) sinks.Sink {
	t.Helper()
	m, u, e := filled(t), unfinished{new(int)}, examined{}
	return []sinks.Sink{
		m,
		versions{m},
		struct {
			*mem.Sink
			unfinished
		}{m, u},
		struct {
			versions
			unfinished
		}{versions{m}, u},
		struct {
			*mem.Sink
			sinks.Examined
		}{m, e},
		struct {
			versions
			sinks.Examined
		}{versions{m}, e},
		struct {
			*mem.Sink
			unfinished
			sinks.Examined
		}{m, u, e},
		struct {
			versions
			unfinished
			sinks.Examined
		}{versions{m}, u, e},
	}[bits]
}

func TestASinkCanDoWhatTheOneBehindItCan(t *testing.T) {
	t.Parallel()
	can := func(s sinks.Sink) (bits int) {
		if _, ok := s.(sinks.Versioned); ok {
			bits++
		}
		if _, ok := s.(sinks.Unfinished); ok {
			bits += 2
		}
		if x, ok := s.(sinks.Examined); ok && len(x.Examine(t.Context(), "")) == 1 {
			bits += 4
		}
		return bits
	}
	for bits := range 8 {
		s := able(t, bits)
		of := fault.New(fault.Options{}).Of(s)
		if can(s) != bits || can(of) != bits {
			t.Errorf("able to do %03b is one, and %03b with faults, want %03b", can(s), can(of), bits)
		}
		if fmt.Sprint(of) != "memory" {
			t.Errorf("it is called %v", of)
		}
	}
}

func TestVersionsAndUploadsFailAsWell(t *testing.T) {
	t.Parallel()
	look := func(s sinks.Sink) (failed []fault.Op) {
		v := s.(sinks.Versioned)
		u := s.(sinks.Unfinished)
		for _, err := range u.Uploads(t.Context(), "") {
			if err != nil {
				failed = append(failed, fault.Uploads)
			}
		}
		if err := u.Abort(t.Context(), sinks.Upload{Key: key}); err != nil {
			failed = append(failed, fault.Abort)
		}
		if _, err := v.Versions(t.Context(), key); err != nil {
			failed = append(failed, fault.Versions)
		}
		r, err := v.OpenVersion(t.Context(), key, "old", 0)
		if err != nil {
			failed = append(failed, fault.OpenVersion)
		} else if _, err := io.ReadAll(r); err != nil {
			failed = append(failed, fault.Read)
		}
		for _, err := range v.Hidden(t.Context(), "") {
			if err != nil {
				failed = append(failed, fault.Hidden)
			}
		}
		return failed
	}
	clean := fault.New(fault.Options{})
	if failed := look(clean.Of(able(t, 7))); len(failed) > 0 || len(clean.Calls()) != 8 {
		t.Fatalf("%v fail, of %v", failed, clean.Calls())
	}
	for _, c := range clean.Calls() {
		f := fault.New(fault.Options{At: c.Same, Kind: fault.Unavailable})
		if failed := look(f.Of(able(t, 7))); len(failed) != 1 || failed[0] != c.Op {
			t.Errorf("%s was to fail, and %v did", c, failed)
		}
	}
}

func TestALieThatIsTrueIsKnown(t *testing.T) {
	t.Parallel()
	for nth, want := range []bool{false, true} {
		inner := mem.New()
		if err := inner.Put(t.Context(), "k", strings.NewReader("text"), 4); err != nil {
			t.Fatal(err)
		}
		f := fault.New(fault.Options{Kind: fault.EOF, At: func(c fault.Call) bool { return c.Op == fault.Read && c.Nth == nth }})
		r, err := f.Of(inner).Open(t.Context(), "k", 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(r) // what it makes of a lie is told elsewhere
		_ = r.Close()
		if f.Injected() != 1 || f.Honest() != want {
			t.Errorf("at read %d: %d faults, honest %v", nth, f.Injected(), f.Honest())
		}
	}
}
