package gcs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// List implements [sinks.Sink].
func (s *Sink) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		op := s.operation("list", prefix)
		if err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err()); err != nil {
			yield(sinks.Object{}, op.fail(err))
			return
		}
		last := ""
		objects := op.list(op.mark(ctx), prefix)
		for {
			found, err := objects.Next()
			if errors.Is(err, iterator.Done) {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			var key string
			if err == nil {
				key = strings.TrimPrefix(found.Name, s.prefix)
				if sinks.CheckKey(key) != nil {
					continue // made by others, such as the folders of web consoles
				}
				err = inOrder(last, key)
			}
			if err != nil {
				if status(err) == http.StatusNotFound {
					err = op.bucketMissing(err)
				}
				yield(sinks.Object{}, op.fail(err))
				return
			}
			last = key
			if !yield(sinks.Object{Key: key, Size: found.Size, ModTime: found.Created}, nil) {
				return
			}
		}
	}
}

// inOrder holds the store to what time order, and `latest`, stand on.
func inOrder(last, key string) error {
	if last != "" && key <= last {
		return fmt.Errorf("the store lists out of order: %s comes after %s", key, last)
	}
	return nil
}

func (op *operation) list(ctx context.Context, prefix string) *storage.ObjectIterator {
	query := &storage.Query{Prefix: op.s.prefix + prefix, Projection: storage.ProjectionNoACL}
	_ = query.SetAttrSelection([]string{"Name", "Size", "Created"}) // these are known
	return op.s.bucket.Retryer(op.retryer()...).Objects(ctx, query)
}

// noBucket asks, where an object was not found, whether there is a bucket to find it in. Without leave to list it cannot be known.
func (op *operation) noBucket(ctx context.Context) error {
	objects := op.list(ctx, op.key)
	objects.PageInfo().MaxSize = 1
	if _, err := objects.Next(); status(err) == http.StatusNotFound {
		return op.bucketMissing(err)
	}
	return nil
}

func (op *operation) bucketMissing(err error) error {
	return &missingBucket{sinks.Because("the bucket "+op.s.o.Bucket+" does not exist", sinks.ErrNoBucket), err}
}

// missingBucket is kept apart from a missing object, whatever the store's answers have in common.
type missingBucket struct {
	error
	answer error
}

func (m *missingBucket) Unwrap() error { return m.error }
