package fault

import (
	"context"
	"io"
	"iter"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// The optional interfaces of a sink are those of the sink behind it, no more and no fewer: who asks whether a sink can do something must
// get the true answer.

// The calls of the optional interfaces. Steps of their listings count as those of List do. Examine cannot fail, and is no call.
const (
	Versions    Op = "versions"
	OpenVersion Op = "open version"
	Hidden      Op = "list hidden"
)

// Of returns the sink that passes everything on to s, but for what is to fail.
func (f *Faults) Of(s sinks.Sink) sinks.Sink {
	base := &sink{Faults: f, inner: s}
	v, isVersioned := s.(sinks.Versioned)
	e, isExamined := s.(sinks.Examined)
	switch {
	case isVersioned && isExamined:
		return struct {
			*sink
			versioned
			sinks.Examined
		}{base, versioned{base, v}, e}
	case isVersioned:
		return struct {
			*sink
			versioned
		}{base, versioned{base, v}}
	case isExamined:
		return struct {
			*sink
			sinks.Examined
		}{base, e}
	}
	return base
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
