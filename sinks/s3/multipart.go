package s3

import (
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	maxParts  = 10_000
	maxRounds = 3

	// abortTimeout is for giving up what was sent, and cleaning for all of that together once the context has ended: with the look that settle
	// may take after it, these are the 5 s of whoever was told to end.
	abortTimeout = 15 * time.Second
	cleaning     = 3 * time.Second
)

// parts puts the object in parts. A store that finds another write to the same key under way wants the whole upload
// again; so does an upload that was removed from under us, as another put of the same key may have to do (see strays).
func (u *upload) parts(ctx context.Context) error {
	for round := 1; ; round++ {
		err := u.inParts(ctx)
		again := err != nil && (judge(err).conflict || code(err) == "NoSuchUpload")
		if !again || round == maxRounds {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(jitter(round)):
		}
	}
}

func (u *upload) inParts(ctx context.Context) error {
	late, over := linger(ctx, cleaning)
	defer over()
	creation := u.attempt()
	created, err := u.client.CreateMultipartUpload(ctx, u.storeParts(&s3.CreateMultipartUploadInput{
		Bucket:   &u.o.Bucket,
		Key:      &u.key,
		Metadata: u.metadata,
	}), creation.option)
	if creation.unsure {
		defer u.strays(late)
	}
	if err != nil {
		return err
	}
	parts, err := u.send(ctx, created)
	if err != nil {
		u.abort(late, created.UploadId)
		return err
	}
	completion := u.attempt()
	completion.conflicts = true
	_, err = u.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &u.o.Bucket,
		Key:             &u.key,
		UploadId:        created.UploadId,
		IfNoneMatch:     u.onlyNew(),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}, completion.option)
	if err != nil {
		// Before looking whether it took effect: afterwards it no longer can.
		u.abort(late, created.UploadId)
	}
	return u.settle(ctx, completion, err)
}

// send uploads the parts, several at a time and in any order.
func (u *upload) send(ctx context.Context, to *s3.CreateMultipartUploadOutput) ([]types.CompletedPart, error) {
	each := partSize(u.size, u.o.PartSize)
	parts := make([]types.CompletedPart, (u.size+each-1)/each)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.o.Parallel)
	for i := range parts {
		if gctx.Err() != nil {
			break // the first failure is what Wait returns
		}
		g.Go(func() error {
			off := int64(i) * each
			n := min(each, u.size-off)
			var err error
			parts[i], err = u.part(gctx, to, int32(i+1), off, n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return parts, ctx.Err()
}

// part uploads n bytes from off on.
func (u *upload) part(ctx context.Context, to *s3.CreateMultipartUploadOutput, number int32, off, n int64) (types.CompletedPart, error) {
	in := &s3.UploadPartInput{
		Bucket:            &u.o.Bucket,
		Key:               &u.key,
		UploadId:          to.UploadId,
		PartNumber:        &number,
		Body:              io.NewSectionReader(u.body, off, n),
		ContentLength:     &n,
		ChecksumAlgorithm: to.ChecksumAlgorithm,
	}
	if u.o.Checksums {
		var err error
		if in.ChecksumSHA256, err = u.checksum(off, n); err != nil {
			return types.CompletedPart{}, err
		}
	}
	out, err := u.client.UploadPart(ctx, in, u.attempt().option)
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{
		PartNumber: &number,
		ETag:       out.ETag,
		// Where the store has checksums for parts, it wants to be told them again.
		ChecksumCRC32:     out.ChecksumCRC32,
		ChecksumCRC32C:    out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		ChecksumSHA1:      out.ChecksumSHA1,
		ChecksumSHA256:    out.ChecksumSHA256,
	}, nil
}

// abort removes what was sent. A part whose request was given up may be taken afterwards, and the upload be there again: so it is
// removed again, as Amazon's documentation advises.
func (u *upload) abort(ctx context.Context, id *string) {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	for _, wait := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond} {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		if err := u.Sink.abort(ctx, u.operation("put", u.op.key), u.key, aws.ToString(id)); err != nil {
			u.o.Log.Warn("the parts of a failed upload could not be removed", "sink", u.String(), "key", u.op.key, "err", err)
			return
		}
	}
}

// strays removes the uploads of this key that were begun by requests whose answers were lost. Nothing tells them from
// the upload of another put of the same key at the same time; that one will begin again, and one of the two will win.
func (u *upload) strays(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	for stray, err := range u.uploads(ctx, u.operation("put", u.op.key), u.key) {
		if err != nil {
			u.o.Log.Warn("could not look for uploads begun in vain", "sink", u.String(), "key", u.op.key, "err", err)
			return
		}
		if aws.ToString(stray.Key) == u.key {
			u.abort(ctx, stray.UploadId)
		}
	}
}

// partSize returns the size of parts for an object: the usual one, or as many MiB as it takes to need no more than maxParts.
func partSize(size, usual int64) int64 {
	const mib = 1 << 20
	least := (size + maxParts - 1) / maxParts
	if least <= usual {
		return usual
	}
	return (least + mib - 1) / mib * mib
}
