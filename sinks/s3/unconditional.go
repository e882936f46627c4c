package s3

import (
	"context"
	"io/fs"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Conditional implements [sinks.Conditional].
func (s *Sink) Conditional() bool { return !s.o.Unconditional }

// unconditionally puts the object into a store that would replace what is there. Nothing is replaced that was there before; of puts of one
// key at the same time the last one stays, and more than one may believe that it is theirs. Backups are safe from that by their
// names, which have a random part.
func (u *upload) unconditionally(ctx context.Context) error {
	u.warned.Do(func() {
		u.o.Log.Warn("conditional writes are turned off for this sink: only the random part of names keeps writers from replacing each other's objects", "sink", u.String())
	})
	if _, err := u.look(ctx); err == nil {
		return sinks.Because("the object exists already", fs.ErrExist)
	} else if status(err) != http.StatusNotFound {
		return err
	}
	put := u.whole
	if u.size > u.o.PartSize {
		put = u.parts
	}
	if err := put(ctx); err != nil {
		return err
	}
	head, err := u.look(ctx)
	if err != nil {
		return err
	}
	if !u.mine(head) {
		return sinks.Because("another one has put the same object at the same time", fs.ErrExist)
	}
	return nil
}

func (u *upload) look(ctx context.Context) (*s3.HeadObjectOutput, error) {
	return u.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &u.o.Bucket, Key: &u.key}, u.op.attempt().option)
}

// mine reports whether what is there is what this upload has put.
func (u *upload) mine(head *s3.HeadObjectOutput) bool {
	return aws.ToInt64(head.ContentLength) == u.size && head.Metadata[putName] == u.metadata[putName]
}
