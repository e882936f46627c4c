package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// putName is the metadata that holds a text no two puts share. By it an upload whose answer was lost is told from what
// somebody else has put under the same key, even of the same content; a digest could not, and would cost a reading.
const putName = "lifeboat-put"

// lookTimeout bounds the question after the context has ended already.
const lookTimeout = 2 * time.Second

// An upload is what one Put is about.
type upload struct {
	*Sink
	op       *operation
	key      string // with the sink's prefix
	body     *overhttp.Source
	size     int64
	metadata map[string]string
}

// Put implements [sinks.Sink].
func (s *Sink) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	op := s.operation("put", key)
	if err := errors.Join(sinks.CheckPut(key, size), ctx.Err()); err != nil {
		return op.fail(err)
	}
	u := &upload{Sink: s, op: op, key: s.prefix + key, body: overhttp.NewSource(body), size: size}
	u.metadata = map[string]string{putName: rand.Text()}
	var err error
	switch {
	case s.o.Unconditional:
		err = u.unconditionally(ctx)
	case size <= s.o.PartSize:
		err = u.whole(ctx)
	default:
		err = u.parts(ctx)
	}
	if broken := u.body.Broken(); err != nil && broken != nil {
		err = broken // whatever the client made of it
	}
	return op.fail(err)
}

// whole puts the object with one request.
func (u *upload) whole(ctx context.Context) error {
	a := u.attempt()
	in := &s3.PutObjectInput{
		Bucket:        &u.o.Bucket,
		Key:           &u.key,
		Body:          io.NewSectionReader(u.body, 0, u.size),
		ContentLength: &u.size,
		IfNoneMatch:   u.onlyNew(),
		Metadata:      u.metadata,
	}
	if err := u.store(in); err != nil {
		return err
	}
	_, err := u.client.PutObject(ctx, in, a.option)
	return u.settle(ctx, a, err)
}

func (u *upload) attempt() *attempt { return &attempt{op: u.op, body: u.body} }

// settle turns the failure of a write that may have taken effect into the truth, by looking.
func (u *upload) settle(ctx context.Context, a *attempt, err error) error {
	if err == nil || !a.unsure || u.body.Broken() != nil {
		return err
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer cancel()
	}
	head, lookErr := u.look(ctx)
	switch {
	case lookErr == nil && u.mine(head):
		u.o.Log.Info("an upload has succeeded whose answer was lost", "sink", u.String(), "key", u.op.key, "err", err)
		return nil
	case lookErr == nil:
		return sinks.Because("the object exists already", fs.ErrExist)
	case status(lookErr) != http.StatusNotFound:
		u.o.Log.Warn("could not find out whether an upload has succeeded", "sink", u.String(), "key", u.op.key, "err", lookErr)
	}
	return err
}
