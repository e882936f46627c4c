package s3_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func storingTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"ObjectsAreLockedForAsLongAsWasAsked":        lockedObjects,
		"AStoreWithoutConditionalWritesSaysSoAtOnce": notImplemented,
	}
}

// unconditionalTests are for a server that itself has conditional writes, and whose other ways are simple.
func unconditionalTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){"WithoutConditionalWritesNothingIsReplaced": unconditionalContract}
}

// sizes are an object put whole, and one in parts.
func sizes() []int64 { return []int64{1000, part + 1} }

func manner(size int64) string {
	if size < part {
		return "-whole"
	}
	return "-parts"
}

func lockedObjects(t *testing.T, p place) {
	p.bucket = p.LockedBucket(t)
	for _, mode := range []string{"governance", "compliance"} {
		s := p.sink(t, func(o *s3.Options) { o.LockMode, o.LockDays = mode, 3 })
		for _, size := range sizes() {
			key := mode + manner(size)
			body := bytes.Repeat([]byte("x"), int(size))
			if err := s.Put(t.Context(), key, bytes.NewReader(body), size); err != nil {
				t.Fatal(err)
			}
			head, err := p.Client().HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &p.bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			until := aws.ToTime(head.ObjectLockRetainUntilDate)
			if !strings.EqualFold(string(head.ObjectLockMode), mode) || time.Until(until) < 71*time.Hour || time.Until(until) > 73*time.Hour {
				t.Errorf("%s is locked by %q until %s", key, head.ObjectLockMode, until)
			}
			if err := s.Delete(t.Context(), key); !errors.Is(err, sinks.ErrLocked) {
				t.Errorf("deleting %s: %v", key, err)
			}
			r, err := s.Open(t.Context(), key, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			_ = r.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s is read as %d bytes: %v", key, len(got), err)
			}
		}
	}
}

// unconditional is a store that refuses conditions, as some do that speak S3.
func (p place) unconditional(t *testing.T, refused *[]string, change func(o *s3.Options)) *s3.Sink {
	t.Helper()
	return p.disturbed(t, func(r *http.Request, send conformtest.Send) (*http.Response, error) {
		if r.Header.Get("If-None-Match") == "" {
			return send(r)
		}
		if refused != nil {
			*refused = append(*refused, r.Method+" "+r.URL.Path)
		}
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		const answer = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NotImplemented</Code><Message>a header of the request is beyond this store</Message></Error>`
		return &http.Response{
			StatusCode: http.StatusNotImplemented, Status: "501 Not Implemented", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
		}, nil
	}, change)
}

func unconditionalContract(t *testing.T, p place) {
	s := p.unconditional(t, nil, func(o *s3.Options) { o.Unconditional = true })
	var races []string
	for _, c := range conform.Races() {
		races = append(races, c.Name)
	}
	for _, c := range conform.Checks() {
		if slices.Contains(races, c.Name) { // the one thing that takes conditions
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(t.Context(), s, "unconditional/"); err != nil {
				t.Error(err)
			}
		})
	}
}

func notImplemented(t *testing.T, p place) {
	var refused []string
	s := p.unconditional(t, &refused, nil)
	for _, size := range sizes() {
		err := s.Put(t.Context(), "k", bytes.NewReader(make([]byte, size)), size)
		var e *sinks.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, "conditional-writes=false") || errors.Is(err, fs.ErrExist) {
			t.Errorf("%v", err)
		}
	}
	if len(refused) != 2 {
		t.Errorf("asked again although the store cannot do it: %q", refused)
	}
}

// TestObjectsAreStoredAsWasAsked has a MinIO with a key of its own, and storage classes, which VersityGW has not.
func TestObjectsAreStoredAsWasAsked(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t, "MINIO_KMS_SECRET_KEY=lab:"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)))
	p := place{S3: server, bucket: server.Bucket(t)}
	for name, c := range map[string]struct {
		change func(o *s3.Options)
		holds  func(h *awss3.HeadObjectOutput) bool
	}{
		"AES256": {
			func(o *s3.Options) { o.Encryption = "AES256" },
			func(h *awss3.HeadObjectOutput) bool {
				return h.ServerSideEncryption == types.ServerSideEncryptionAes256
			},
		},
		"a key by name": {
			func(o *s3.Options) { o.Encryption, o.KMSKey = "aws:kms", "lab" },
			func(h *awss3.HeadObjectOutput) bool {
				return h.ServerSideEncryption == types.ServerSideEncryptionAwsKms && strings.HasSuffix(aws.ToString(h.SSEKMSKeyId), "lab")
			},
		},
		"a storage class": {
			func(o *s3.Options) { o.StorageClass = "REDUCED_REDUNDANCY" },
			func(h *awss3.HeadObjectOutput) bool { return h.StorageClass == types.StorageClassReducedRedundancy },
		},
		"nothing": {
			func(*s3.Options) {},
			func(h *awss3.HeadObjectOutput) bool { return h.ServerSideEncryption == "" && h.StorageClass == "" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.sink(t, c.change)
			for _, size := range sizes() {
				key := strings.ReplaceAll(name, " ", "-") + manner(size)
				if err := s.Put(t.Context(), key, bytes.NewReader(make([]byte, size)), size); err != nil {
					t.Fatal(err)
				}
				head, err := p.Client().HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &p.bucket, Key: &key})
				if err != nil {
					t.Fatal(err)
				}
				if !c.holds(head) {
					t.Errorf("%s: encryption %q %q, class %q", key, head.ServerSideEncryption, aws.ToString(head.SSEKMSKeyId), head.StorageClass)
				}
			}
		})
	}
}

func TestPoliciesNameWhatStoringTakes(t *testing.T) {
	t.Parallel()
	s, err := s3.New(t.Context(), s3.Options{
		Bucket: "b", Region: "eu-central-1", Encryption: "aws:kms", KMSKey: "1234", LockMode: "governance", LockDays: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for role, wants := range map[sinks.Role][]string{
		sinks.Writer:   {"kms:GenerateDataKey", "s3:PutObjectRetention", "arn:aws:kms:*:*:key/1234"},
		sinks.Restorer: {"kms:Decrypt"},
	} {
		for _, want := range wants {
			if policy := s.Policy(role); !strings.Contains(policy, want) {
				t.Errorf("%v: %s is missing in %s", role, want, policy)
			}
		}
	}
	if policy := s.Policy(sinks.Restorer); strings.Contains(policy, "GenerateDataKey") || strings.Contains(policy, "Put") {
		t.Errorf("a restorer may write: %s", policy)
	}
}
