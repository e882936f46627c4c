package s3

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Versions implements [sinks.Versioned].
func (s *Sink) Versions(ctx context.Context, key string) ([]sinks.Version, error) {
	op := s.operation("list", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return nil, op.fail(err)
	}
	var found []sinks.Version
	for page, err := range s.versionPages(ctx, op, s.prefix+key) {
		if err != nil {
			return nil, op.fail(err)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Key) != s.prefix+key || aws.ToBool(v.IsLatest) {
				continue
			}
			found = append(found, sinks.Version{ID: aws.ToString(v.VersionId), Size: aws.ToInt64(v.Size), ModTime: aws.ToTime(v.LastModified)})
		}
		if past(page, s.prefix+key) {
			break
		}
	}
	return found, nil
}

// past tells whether a page has reached keys that come after the given one: it is the first of all that begin with it.
func past(page *s3.ListObjectVersionsOutput, full string) bool {
	for _, v := range page.Versions {
		if aws.ToString(v.Key) != full {
			return true
		}
	}
	return false
}

// OpenVersion implements [sinks.Versioned].
func (s *Sink) OpenVersion(ctx context.Context, key, version string, off int64) (io.ReadCloser, error) {
	return s.open(ctx, key, &version, off)
}

// Hidden implements [sinks.Versioned].
func (s *Sink) Hidden(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		op := s.operation("list", prefix)
		if err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err()); err != nil {
			yield(sinks.Object{}, op.fail(err))
			return
		}
		markers := map[string]bool{} // their objects come with them, on the same page or the next
		for page, err := range s.versionPages(ctx, op, s.prefix+prefix) {
			if err != nil {
				yield(sinks.Object{}, op.fail(err))
				return
			}
			for _, m := range page.DeleteMarkers {
				if aws.ToBool(m.IsLatest) {
					markers[aws.ToString(m.Key)] = true
				}
			}
			for _, v := range page.Versions {
				o, ok := s.behind(markers, v)
				if ok && !yield(o, nil) {
					return
				}
			}
		}
	}
}

// behind returns the newest object behind a marker, once.
func (s *Sink) behind(markers map[string]bool, v types.ObjectVersion) (sinks.Object, bool) {
	full := aws.ToString(v.Key)
	key := strings.TrimPrefix(full, s.prefix)
	if !markers[full] || sinks.CheckKey(key) != nil {
		return sinks.Object{}, false
	}
	delete(markers, full)
	return sinks.Object{Key: key, Size: aws.ToInt64(v.Size), ModTime: aws.ToTime(v.LastModified)}, true
}

// versionPages asks for all versions of everything that begins with a prefix, the sink's own included.
func (s *Sink) versionPages(ctx context.Context, op *operation, full string) iter.Seq2[*s3.ListObjectVersionsOutput, error] {
	return func(yield func(*s3.ListObjectVersionsOutput, error) bool) {
		in := &s3.ListObjectVersionsInput{Bucket: &s.o.Bucket, Prefix: &full}
		for more := true; more; {
			page, err := s.client.ListObjectVersions(ctx, in, op.attempt().option)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) {
				return
			}
			in.KeyMarker, in.VersionIdMarker, more = page.NextKeyMarker, page.NextVersionIdMarker, aws.ToBool(page.IsTruncated)
			if more && in.KeyMarker == nil {
				yield(nil, errors.New("the store says that there is more, and does not say where"))
				return
			}
		}
	}
}
