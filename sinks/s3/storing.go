package s3

import (
	"encoding/base64"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// checkStoring looks at how objects are to be stored.
func checkStoring(o Options) error {
	switch {
	case o.Encryption != "" && o.Encryption != string(types.ServerSideEncryptionAes256) && o.Encryption != string(types.ServerSideEncryptionAwsKms):
		return sinks.Because("the store's encryption (sse) is neither AES256 nor aws:kms", fs.ErrInvalid)
	case o.KMSKey != "" && o.Encryption != string(types.ServerSideEncryptionAwsKms):
		return sinks.Because("a key for the store's encryption (sse-kms-key) takes sse=aws:kms", fs.ErrInvalid)
	case o.LockMode != "" && o.LockMode != "governance" && o.LockMode != "compliance":
		return sinks.Because("the lock's mode (lock-mode) is neither governance nor compliance", fs.ErrInvalid)
	case o.LockMode != "" && o.LockDays < 1:
		return sinks.Because("a lock (lock-mode) takes a number of days (lock-days)", fs.ErrInvalid)
	case o.LockMode == "" && o.LockDays != 0:
		return sinks.Because("a number of days (lock-days) takes a lock (lock-mode=governance or lock-mode=compliance)", fs.ErrInvalid)
	}
	return nil
}

// onlyNew is the condition of a write.
func (s *Sink) onlyNew() *string {
	if s.o.Unconditional {
		return nil
	}
	return aws.String("*")
}

// lockedUntil is when the lock of an object ends that is put now; nil without one. The store's clock decides when that is, and its day is
// not ours: a lock is for the days it takes to notice, not for the minute.
func (s *Sink) lockedUntil() *time.Time {
	if s.o.LockMode == "" {
		return nil
	}
	return aws.Time(time.Now().UTC().AddDate(0, 0, s.o.LockDays).Truncate(time.Second))
}

// store says in a request for a whole object how it is to be stored.
func (u *upload) store(in *s3.PutObjectInput) error {
	in.StorageClass = types.StorageClass(u.o.StorageClass)
	in.ServerSideEncryption = types.ServerSideEncryption(u.o.Encryption)
	if u.o.KMSKey != "" {
		in.SSEKMSKeyId = &u.o.KMSKey
	}
	if u.o.Checksums {
		var err error
		if in.ChecksumSHA256, err = u.checksum(0, u.size); err != nil {
			return err
		}
	}
	if in.ObjectLockRetainUntilDate = u.lockedUntil(); in.ObjectLockRetainUntilDate == nil {
		return nil
	}
	in.ObjectLockMode = types.ObjectLockMode(strings.ToUpper(u.o.LockMode))
	if u.o.Checksums {
		return nil
	}
	// A lock takes a checksum. In a header it is understood by stores to which the client would send none.
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, io.NewSectionReader(u.body, 0, u.size)); err != nil {
		return err
	}
	in.ChecksumCRC32C = aws.String(base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	return nil
}

// storeParts says so in a request for an upload in parts.
func (u *upload) storeParts(in *s3.CreateMultipartUploadInput) *s3.CreateMultipartUploadInput {
	in.StorageClass = types.StorageClass(u.o.StorageClass)
	in.ServerSideEncryption = types.ServerSideEncryption(u.o.Encryption)
	if u.o.KMSKey != "" {
		in.SSEKMSKeyId = &u.o.KMSKey
	}
	if in.ObjectLockRetainUntilDate = u.lockedUntil(); in.ObjectLockRetainUntilDate != nil {
		in.ObjectLockMode = types.ObjectLockMode(strings.ToUpper(u.o.LockMode))
	}
	if u.o.Checksums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
	}
	return in
}
