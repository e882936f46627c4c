package gcs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"time"

	"cloud.google.com/go/storage"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

const (
	// putName is the metadata that holds a text no two puts share. By it an upload whose answer was lost is told from what
	// somebody else has put under the same key, even of the same content.
	putName = "lifeboat-put"

	lookTimeout  = 2 * time.Second // bounds the question after the context has ended already
	abortTimeout = 5 * time.Second
	maxRounds    = 3 // an upload whose session the store has lost begins again
)

// An upload is what one Put is about.
type upload struct {
	*Sink
	op   *operation
	body *overhttp.Source
	size int64
	mark string
}

// Put implements [sinks.Sink].
func (s *Sink) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	op := s.operation("put", key)
	if err := errors.Join(sinks.CheckPut(key, size), ctx.Err()); err != nil {
		return op.fail(err)
	}
	u := &upload{Sink: s, op: op, body: overhttp.NewSource(body), size: size, mark: rand.Text()}
	op.body = u.body
	ctx = op.mark(ctx)
	err := u.put(ctx)
	if broken := u.body.Broken(); err != nil && broken != nil {
		err = broken // whatever the client made of it
	}
	if status(err) == http.StatusNotFound {
		if gone := op.noBucket(ctx); gone != nil {
			err = gone
		}
	}
	return op.fail(err)
}

func (u *upload) put(ctx context.Context) error {
	for round := 1; ; round++ {
		err := u.send(ctx)
		if err == nil {
			return nil
		}
		// Before looking whether it took effect: afterwards it no longer can.
		lost := u.abort(ctx)
		err = u.settle(ctx, err)
		again := lost && (status(err) == http.StatusNotFound || status(err) == http.StatusGone)
		if !again || round == maxRounds {
			return err
		}
	}
}

// send uploads the body once, in chunks if it takes several. The store is told the checksum, at the beginning where one chunk
// is all, else with the last, and refuses what has another.
func (u *upload) send(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := u.op.object().If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ContentType = "application/octet-stream"
	w.Metadata = map[string]string{putName: u.mark}
	w.ChunkRetryDeadline = u.o.Patience
	w.ChunkSize = u.o.ChunkSize
	if u.size < int64(w.ChunkSize) {
		w.ChunkSize = int(u.size/chunkUnit+1) * chunkUnit // as much memory as it takes
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	body := io.NewSectionReader(u.body, 0, u.size)
	if u.size <= int64(w.ChunkSize) {
		if _, err := io.Copy(sum, body); err != nil {
			return err
		}
		w.SendCRC32C, w.CRC32C = true, sum.Sum32()
		sum.Reset()
		_, _ = body.Seek(0, io.SeekStart) // never fails
	}
	if _, err := io.Copy(io.MultiWriter(w, sum), onlyReader{body}); err != nil {
		cancel() // closing it would complete the object
		return errors.Join(err, ignore(w.Close()))
	}
	if err := w.Close(); err != nil {
		return err
	}
	if stored := w.Attrs(); stored.CRC32C != sum.Sum32() || stored.Size != u.size {
		return u.takeBack(ctx, stored, sum.Sum32())
	}
	return nil
}

// onlyReader hides that the body could write itself, in pieces of any size.
type onlyReader struct{ io.Reader }

// ignore drops what closing an abandoned upload says: only that it was abandoned.
func ignore(error) error { return nil }

// takeBack removes an object that came to be with other bytes than were sent. A store that checks never lets it come so far.
func (u *upload) takeBack(ctx context.Context, stored *storage.ObjectAttrs, sent uint32) error {
	err := fmt.Errorf("the store took %d bytes with checksum %08x, sent were %d with %08x", stored.Size, stored.CRC32C, u.size, sent)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if removeErr := u.op.object().Generation(stored.Generation).Delete(ctx); removeErr != nil {
		return errors.Join(err, fmt.Errorf("and what it made of them could not be removed: %w", removeErr))
	}
	return &damagedError{err}
}

// A damagedError says that the bytes arrived wrong, and that nothing is left of them.
type damagedError struct{ error }

// abort ends the upload's session, if it has one, and reports whether it had. It must work when ctx has ended, and has little
// time then. A session that is not ended costs nothing and is forgotten by the store after a week.
func (u *upload) abort(ctx context.Context) bool {
	u.op.mu.Lock()
	session := u.op.session
	u.op.session = ""
	u.op.mu.Unlock()
	if session == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(u.operation("put", u.op.key).mark(context.WithoutCancel(ctx)), abortTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, session, http.NoBody)
	if err == nil {
		var resp *http.Response
		if resp, err = u.http.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
			err = resp.Body.Close()
		}
	}
	if err != nil {
		u.o.Log.Warn("a failed upload could not be ended", "sink", u.String(), "key", u.op.key, "err", bare(err))
	}
	return true
}

// settle turns the failure of a write that may have taken effect into the truth, by looking.
func (u *upload) settle(ctx context.Context, err error) error {
	var wrong *damagedError
	var credentials *credentialsError
	switch {
	case u.body.Broken() != nil, errors.As(err, &wrong), errors.As(err, &credentials), overhttp.Hopeless(err) != "":
		return err // nothing was completed
	}
	switch status(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return err
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer cancel()
	}
	found, lookErr := u.op.object().Attrs(ctx)
	switch {
	case lookErr == nil && found.Size == u.size && found.Metadata[putName] == u.mark:
		u.o.Log.Info("an upload has succeeded whose answer was lost", "sink", u.String(), "key", u.op.key, "err", bare(err))
		return nil
	case lookErr == nil, status(err) == http.StatusPreconditionFailed:
		return sinks.Because("the object exists already", fs.ErrExist)
	case status(lookErr) != http.StatusNotFound:
		u.o.Log.Warn("could not find out whether an upload has succeeded", "sink", u.String(), "key", u.op.key, "err", bare(lookErr))
	}
	return err
}
