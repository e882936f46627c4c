package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// List implements [sinks.Sink].
func (s *Sink) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		op := s.operation("list", prefix)
		err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err())
		last, empty := "", 0
		for token, more := (*string)(nil), true; more && err == nil; {
			var page *s3.ListObjectsV2Output
			if page, err = s.page(ctx, op, prefix, token); err != nil {
				break
			}
			for _, found := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(found.Key), s.prefix)
				if sinks.CheckKey(key) != nil {
					continue // made by others, such as the folders of web consoles
				}
				if err = errors.Join(ctx.Err(), inOrder(last, key)); err != nil {
					break
				}
				last = key
				if !yield(sinks.Object{Key: key, Size: aws.ToInt64(found.Size), ModTime: aws.ToTime(found.LastModified)}, nil) {
					return
				}
			}
			if empty++; len(page.Contents) > 0 {
				empty = 0
			}
			before := token
			token, more = page.NextContinuationToken, aws.ToBool(page.IsTruncated)
			if more && err == nil {
				err = goesOn(before, token, empty)
			}
		}
		if err != nil {
			yield(sinks.Object{}, op.fail(err))
		}
	}
}

// emptyPages is how many pages in a row may hold nothing. A store may answer a few where objects were removed; without end it would never
// let us go.
const emptyPages = 1000

// goesOn holds the store to an end of its listing.
func goesOn(before, next *string, empty int) error {
	switch {
	case next == nil:
		return errors.New("the store says that there is more, and does not say where")
	case before != nil && *before == *next:
		return errors.New("the store says that there is more, and begins again at the same place")
	case empty >= emptyPages:
		return fmt.Errorf("the store says that there is more, and %d pages in a row had nothing", empty)
	}
	return nil
}

// inOrder holds the store to what time order, and `latest`, stand on.
func inOrder(last, key string) error {
	if last != "" && key <= last {
		return fmt.Errorf("the store lists out of order: %s comes after %s", key, last)
	}
	return nil
}

func (s *Sink) page(ctx context.Context, op *operation, prefix string, token *string) (*s3.ListObjectsV2Output, error) {
	return s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket:            &s.o.Bucket,
		Prefix:            aws.String(s.prefix + prefix),
		ContinuationToken: token,
	}, op.attempt().option)
}
