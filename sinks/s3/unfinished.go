package s3

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Uploads implements [sinks.Unfinished]: the multipart uploads below the sink's own prefix. They are given up as soon as a Put
// fails; what is found here is left by killed processes, or under way.
func (s *Sink) Uploads(ctx context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	return func(yield func(sinks.Upload, error) bool) {
		op := s.operation("list", prefix)
		if err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err()); err != nil {
			yield(sinks.Upload{}, op.fail(err))
			return
		}
		// MinIO takes the prefix for a whole key, and tells of everything only where there is none.
		seen := map[string]bool{}
		for _, asked := range []string{s.prefix + prefix, ""} {
			for u, err := range s.uploads(ctx, op, asked) {
				if err != nil {
					yield(sinks.Upload{}, op.fail(err))
					return
				}
				key, ours := strings.CutPrefix(aws.ToString(u.Key), s.prefix)
				if !ours || !strings.HasPrefix(key, prefix) || sinks.CheckKey(key) != nil || seen[aws.ToString(u.UploadId)] {
					continue
				}
				seen[aws.ToString(u.UploadId)] = true
				if !yield(sinks.Upload{Key: key, ID: aws.ToString(u.UploadId), Started: aws.ToTime(u.Initiated)}, nil) {
					return
				}
			}
			if asked == "" || len(seen) > 0 && sinks.CheckKey(prefix) != nil {
				return
			}
		}
	}
}

// uploads lists what was begun under a prefix of the bucket, page by page.
func (s *Sink) uploads(ctx context.Context, op *operation, prefix string) iter.Seq2[types.MultipartUpload, error] {
	return func(yield func(types.MultipartUpload, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: &s.o.Bucket}
		if prefix != "" {
			in.Prefix = &prefix
		}
		for {
			page, err := s.client.ListMultipartUploads(ctx, in, op.attempt().option)
			if code(err) == "InvalidArgument" && in.UploadIdMarker != nil {
				// VersityGW does not know its own marker. By the key alone more uploads of that very key may be passed over.
				in.UploadIdMarker = nil
				page, err = s.client.ListMultipartUploads(ctx, in, op.attempt().option)
			}
			if err != nil {
				yield(types.MultipartUpload{}, err)
				return
			}
			for _, u := range page.Uploads {
				if !yield(u, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			if aws.ToString(page.NextKeyMarker) == aws.ToString(in.KeyMarker) && aws.ToString(page.NextUploadIdMarker) == aws.ToString(in.UploadIdMarker) {
				yield(types.MultipartUpload{}, errors.New("the store says that there are more uploads, and does not say where"))
				return
			}
			in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		}
	}
}

// Abort implements [sinks.Unfinished].
func (s *Sink) Abort(ctx context.Context, u sinks.Upload) error {
	op := s.operation("delete", u.Key)
	if err := errors.Join(sinks.CheckKey(u.Key), ctx.Err()); err != nil {
		return op.fail(err)
	}
	return op.fail(s.abort(ctx, op, s.prefix+u.Key, u.ID))
}

func (s *Sink) abort(ctx context.Context, op *operation, full, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.o.Bucket, Key: &full, UploadId: &id}, op.attempt().option)
	if code(err) == "NoSuchUpload" {
		return nil
	}
	return err
}
