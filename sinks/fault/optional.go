package fault

import (
	"context"
	"io"
	"iter"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Checksum implements [sinks.Checksummed]. It is there whatever the sink behind can do: one that tells no checksums says so by its error.
func (s *sink) Checksum(ctx context.Context, key string) (told sinks.Checksum, err error) {
	err = s.change(ctx, Checksum, key, func() error {
		told, err = sinks.ChecksumOf(ctx, s.inner, key)
		return err
	})
	if err != nil {
		return sinks.Checksum{}, err
	}
	return told, nil
}

// The other optional interfaces of a sink are those of the sink behind it: who asks whether a sink can do something must get the true answer.
// Restricted and Conditional, which ask no store anything, are not passed on.

// The calls of the optional interfaces. Steps of their listings count as those of List do. Examine cannot fail, and is no call.
const (
	Versions    Op = "versions"
	OpenVersion Op = "open version"
	Hidden      Op = "list hidden"
	Uploads     Op = "list uploads"
	Abort       Op = "abort"
)

// Of returns the sink that passes everything on to s, but for what is to fail.
func (f *Faults) Of(s sinks.Sink) sinks.Sink {
	b := &sink{Faults: f, inner: s}
	inner, isVersioned := s.(sinks.Versioned)
	begun, isUnfinished := s.(sinks.Unfinished)
	e, isExamined := s.(sinks.Examined)
	v, u := versioned{b, inner}, unfinished{b, begun}
	switch {
	case isVersioned && isUnfinished && isExamined:
		return struct {
			*sink
			versioned
			unfinished
			sinks.Examined
		}{b, v, u, e}
	case isVersioned && isUnfinished:
		return struct {
			*sink
			versioned
			unfinished
		}{b, v, u}
	case isVersioned && isExamined:
		return struct {
			*sink
			versioned
			sinks.Examined
		}{b, v, e}
	case isUnfinished && isExamined:
		return struct {
			*sink
			unfinished
			sinks.Examined
		}{b, u, e}
	case isVersioned:
		return struct {
			*sink
			versioned
		}{b, v}
	case isUnfinished:
		return struct {
			*sink
			unfinished
		}{b, u}
	case isExamined:
		return struct {
			*sink
			sinks.Examined
		}{b, e}
	}
	return b
}

type versioned struct {
	s     *sink
	inner sinks.Versioned
}

// Versions implements [sinks.Versioned].
func (v versioned) Versions(ctx context.Context, key string) ([]sinks.Version, error) {
	kind := v.s.call(Versions, key)
	if kind == "" {
		return v.inner.Versions(ctx, key)
	}
	return nil, v.s.fail(ctx, kind, Versions, key)
}

// OpenVersion implements [sinks.Versioned].
func (v versioned) OpenVersion(ctx context.Context, key, version string, off int64) (io.ReadCloser, error) {
	return v.s.open(ctx, OpenVersion, key, func() (io.ReadCloser, error) { return v.inner.OpenVersion(ctx, key, version, off) })
}

// Hidden implements [sinks.Versioned].
func (v versioned) Hidden(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return steps(ctx, v.s, Hidden, prefix, v.inner.Hidden(ctx, prefix))
}

type unfinished struct {
	s     *sink
	inner sinks.Unfinished
}

// Uploads implements [sinks.Unfinished].
func (u unfinished) Uploads(ctx context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	return steps(ctx, u.s, Uploads, prefix, u.inner.Uploads(ctx, prefix))
}

// Abort implements [sinks.Unfinished].
func (u unfinished) Abort(ctx context.Context, up sinks.Upload) error {
	return u.s.change(ctx, Abort, up.Key, func() error { return u.inner.Abort(ctx, up) })
}
