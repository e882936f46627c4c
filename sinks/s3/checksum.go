package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Checksum implements [sinks.Checksummed]. What a store keeps is what it was sent, and of an upload in parts often the checksum of the checksums
// of those: see Options.Checksums. Amazon keeps one of everything.
func (s *Sink) Checksum(ctx context.Context, key string) (sinks.Checksum, error) {
	op := s.operation("checksum", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return sinks.Checksum{}, op.fail(err)
	}
	full := s.prefix + key
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &full, ChecksumMode: types.ChecksumModeEnabled}, op.attempt().option)
	if status(err) != 0 {
		if _, told := s.current(ctx, op, full); told != nil { // which has words for it
			err = told
		}
	}
	if err != nil {
		return sinks.Checksum{}, op.fail(err)
	}
	told, ok := s.checksumIn(head)
	if !ok {
		return sinks.Checksum{}, op.fail(sinks.NoChecksum())
	}
	return told, nil
}

// checksumIn is what an answer says, the strongest first.
func (s *Sink) checksumIn(head *s3.HeadObjectOutput) (sinks.Checksum, bool) {
	c := sinks.Checksum{Size: aws.ToInt64(head.ContentLength)}
	for _, told := range []struct {
		algorithm sinks.ChecksumAlgorithm
		value     *string
	}{
		{sinks.SHA256, head.ChecksumSHA256},
		{sinks.CRC64NVME, head.ChecksumCRC64NVME},
		{sinks.CRC32C, head.ChecksumCRC32C},
		{sinks.CRC32, head.ChecksumCRC32},
	} {
		value, parts, inParts := strings.Cut(aws.ToString(told.value), "-")
		sum, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(sum) == 0 {
			continue
		}
		c.Algorithm, c.Sum = told.algorithm, sum
		switch {
		case inParts || head.ChecksumType == types.ChecksumTypeComposite:
			// Of which size its parts are nobody tells: of ours, if there are as many as we would have made.
			c.PartSize = partSize(c.Size, s.o.PartSize)
			n, err := strconv.ParseInt(parts, 10, 64)
			if err == nil && n == max((c.Size+c.PartSize-1)/c.PartSize, 1) {
				return c, true
			}
		case head.ChecksumType == types.ChecksumTypeFullObject || c.Size <= s.o.PartSize:
			return c, true
		}
	}
	return sinks.Checksum{}, false
}

// checksum is the SHA-256 of some bytes of the body, as requests have it. In a header it is understood by stores to which the client would send none.
func (u *upload) checksum(off, n int64) (*string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(u.body, off, n)); err != nil {
		return nil, err
	}
	return aws.String(base64.StdEncoding.EncodeToString(sum.Sum(nil))), nil
}
