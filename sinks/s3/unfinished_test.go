package s3_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func unfinishedTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"uploads left behind are told of and given up": func(t *testing.T, p place) {
			p.begins(t, "pre/a/1", "pre/a/1", "pre/a/2", "pre/b", "pre2/a/1", "other")
			s := p.sink(t, func(o *s3.Options) { o.Prefix = "pre" })
			var _ sinks.Unfinished = s
			for prefix, want := range map[string][]string{
				"": {"a/1", "a/1", "a/2", "b"}, "a/": {"a/1", "a/1", "a/2"}, "a/1": {"a/1", "a/1"}, "b": {"b"}, "c": nil, "a": {"a/1", "a/1", "a/2"},
			} {
				if got := uploads(t, s, prefix); !slices.Equal(got, want) {
					t.Errorf("under %q there are the uploads %q, not %q", prefix, got, want)
				}
			}
			for u, err := range s.Uploads(t.Context(), "a/") {
				if err != nil {
					t.Fatal(err)
				}
				if since := time.Since(u.Started); since < -time.Minute || since > time.Minute {
					t.Errorf("begun a moment ago, it is said to be %v old", since)
				}
				if err := errors.Join(s.Abort(t.Context(), u), s.Abort(t.Context(), u)); err != nil {
					t.Error(err)
				}
			}
			if got := uploads(t, s, ""); !slices.Equal(got, []string{"b"}) {
				t.Errorf("what is left is %q", got)
			}
			if got := uploads(t, p.sink(t, nil), ""); !slices.Equal(got, []string{"other", "pre/b", "pre2/a/1"}) {
				t.Errorf("what is left in the bucket is %q", got)
			}
		},
		"uploads are listed over pages": func(t *testing.T, p place) {
			const n = 1005
			keys := make([]string, n)
			for i := range keys {
				keys[i] = "page/" + time.Unix(int64(i), 0).UTC().Format("150405")
			}
			p.begins(t, keys...)
			got := uploads(t, p.sink(t, nil), "page/")
			if !slices.Equal(got, keys) {
				t.Errorf("of %d uploads %d are listed", n, len(got))
			}
		},
		"what cannot be an upload is no upload": func(t *testing.T, p place) {
			s := p.sink(t, nil)
			if err := s.Abort(t.Context(), sinks.Upload{Key: "../a", ID: "x"}); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("abort says: %v", err)
			}
			for _, err := range s.Uploads(t.Context(), "a//b") {
				if !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("uploads says: %v", err)
				}
			}
			s = p.sink(t, func(o *s3.Options) { o.Bucket = "never-created" })
			for _, err := range s.Uploads(t.Context(), "") {
				if !errors.Is(err, sinks.ErrNoBucket) {
					t.Errorf("in a bucket that is not there uploads says: %v", err)
				}
			}
		},
	}
}

func (p place) begins(t *testing.T, keys ...string) {
	t.Helper()
	cli := p.Client()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for _, key := range keys {
		g.Go(func() error {
			_, err := cli.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: &p.bucket, Key: &key})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// uploads returns the keys of unfinished uploads, sorted.
func uploads(t *testing.T, s *s3.Sink, prefix string) []string {
	t.Helper()
	var keys []string
	for u, err := range s.Uploads(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, u.Key)
	}
	slices.Sort(keys)
	return keys
}
