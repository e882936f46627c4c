package open_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

// What follows goes all the way from the words in a URL to what the store says of the object; sizes are of an object that is put at once, and of one in parts.
func sizes() map[string]int { return map[string]int{"whole": 1000, "parts": 16<<20 + 1} }

func opened(t *testing.T, server *lab.S3, bucket, parameters string) sinks.Sink {
	t.Helper()
	s, err := open.URL(t.Context(), server.SinkURL(bucket)+parameters, open.Options{CredentialsFile: server.CredentialsFile})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func putZeros(ctx context.Context, s sinks.Sink, key string, size int) error {
	return s.Put(ctx, key, bytes.NewReader(make([]byte, size)), int64(size))
}

func head(t *testing.T, server *lab.S3, bucket, key string) *s3.HeadObjectOutput {
	t.Helper()
	found, err := server.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestObjectsAreLockedAsTheURLSays(t *testing.T) {
	t.Parallel()
	for _, server := range []*lab.S3{lab.StartMinIO(t), lab.StartVersityGW(t)} {
		for _, mode := range []string{"governance", "compliance"} {
			bucket := server.LockedBucket(t)
			s := opened(t, server, bucket, "&lock-days=3&lock-mode="+mode)
			for key, size := range sizes() {
				if err := putZeros(t.Context(), s, key, size); err != nil {
					t.Fatalf("%s: %v", server.Name, err)
				}
				found := head(t, server, bucket, key)
				left := time.Until(aws.ToTime(found.ObjectLockRetainUntilDate))
				if !strings.EqualFold(string(found.ObjectLockMode), mode) || left < 71*time.Hour || left > 73*time.Hour {
					t.Errorf("%s: %s is locked as %s for %v", server.Name, key, found.ObjectLockMode, left)
				}
				if err := s.Delete(t.Context(), key); !errors.Is(err, sinks.ErrLocked) || !errors.Is(err, fs.ErrPermission) {
					t.Errorf("%s: deleting %s says: %v", server.Name, key, err)
				}
			}
		}
	}
}

func TestObjectsAreEncryptedAsTheURLSays(t *testing.T) {
	t.Parallel()
	// A key for the test alone, 32 bytes in base64.
	server := lab.StartMinIO(t, "MINIO_KMS_SECRET_KEY=lab-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	for parameters, want := range map[string]types.ServerSideEncryption{
		"": "", "&sse=AES256": types.ServerSideEncryptionAes256, "&sse=aws:kms&sse-kms-key=lab-key": types.ServerSideEncryptionAwsKms,
	} {
		bucket := server.Bucket(t)
		s := opened(t, server, bucket, parameters)
		for key, size := range sizes() {
			if err := putZeros(t.Context(), s, key, size); err != nil {
				t.Fatalf("%s: %v", parameters, err)
			}
			found := head(t, server, bucket, key)
			if found.ServerSideEncryption != want || (want == types.ServerSideEncryptionAwsKms) != strings.HasSuffix(aws.ToString(found.SSEKMSKeyId), "lab-key") {
				t.Errorf("%q: %s is encrypted as %q by the key %q", parameters, key, found.ServerSideEncryption, aws.ToString(found.SSEKMSKeyId))
			}
		}
	}
}

func TestStorageClassIsAskedFor(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t)
	bucket := server.Bucket(t)
	s := opened(t, server, bucket, "&storage-class=REDUCED_REDUNDANCY")
	for key, size := range sizes() {
		if err := putZeros(t.Context(), s, key, size); err != nil {
			t.Fatal(err)
		}
		if class := head(t, server, bucket, key).StorageClass; class != types.StorageClassReducedRedundancy {
			t.Errorf("%s is stored as %q", key, class)
		}
	}
	// MinIO has no such class, and says so at once.
	if err := putZeros(t.Context(), opened(t, server, bucket, "&storage-class=STANDARD_IA"), "other", 10); err == nil {
		t.Error("a class that the store does not have is passed over in silence")
	}
}

func TestWithoutConditionalWritesNothingIsReplaced(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t)
	bucket := server.Bucket(t)
	s := opened(t, server, bucket, "&conditional-writes=false")
	for key, size := range sizes() {
		if err := putZeros(t.Context(), s, key, size); err != nil {
			t.Fatal(err)
		}
		if err := putZeros(t.Context(), s, key, 5); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the second put of %s says: %v", key, err)
		}
		if n := aws.ToInt64(head(t, server, bucket, key).ContentLength); n != int64(size) {
			t.Errorf("%s has %d bytes now", key, n)
		}
	}
}

func TestWaysOfStoringThatCannotBeAreUsageErrors(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{
		"sse=maybe", "sse-kms-key=k", "sse=AES256&sse-kms-key=k", "lock-mode=forever&lock-days=1", "lock-mode=governance", "lock-days=3",
		"lock-mode=governance&lock-days=0", "lock-mode=governance&lock-days=-1", "lock-mode=compliance&lock-days=x", "conditional-writes=perhaps",
	} {
		if s, err := open.URL(t.Context(), "s3://b?"+parameters, open.Options{}); s != nil || !errors.Is(err, open.ErrUsage) {
			t.Errorf("%s gives %v, %v", parameters, s, err)
		}
	}
}
