package s3_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
)

func deletionTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"deleting frees the version that is there": func(t *testing.T, p place) {
			p.bucket = p.VersionedBucket(t)
			s := p.sink(t, nil)
			for range 2 {
				conformtest.MustPut(t, s, "a", conformtest.Content(1, 100))
				for range 2 { // the second time it is missing
					if err := s.Delete(t.Context(), "a"); err != nil {
						t.Fatal(err)
					}
				}
				p.noVersions(t)
			}
		},
		"deleting leaves what is hidden as it is": func(t *testing.T, p place) {
			p.bucket = p.VersionedBucket(t)
			s := p.sink(t, nil)
			conformtest.MustPut(t, s, "a", conformtest.Content(1, 100))
			// Somebody hides it, the plain way.
			if _, err := p.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &p.bucket, Key: aws.String("a")}); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if versions, markers := p.versions(t); versions != 1 || markers != 1 {
				t.Errorf("there are %d versions and %d delete markers", versions, markers)
			}
		},
		"deleting what is locked is refused": func(t *testing.T, p place) {
			p.bucket = p.LockedBucket(t)
			s := p.sink(t, nil)
			conformtest.MustPut(t, s, "kept", conformtest.Content(1, 100))
			conformtest.MustPut(t, s, "held", conformtest.Content(1, 100))
			until := time.Now().Add(time.Hour)
			cli := p.Client()
			_, err := cli.PutObjectRetention(t.Context(), &awss3.PutObjectRetentionInput{Bucket: &p.bucket, Key: aws.String("kept"), Retention: &types.ObjectLockRetention{
				Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until,
			}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = cli.PutObjectLegalHold(t.Context(), &awss3.PutObjectLegalHoldInput{Bucket: &p.bucket, Key: aws.String("held"), LegalHold: &types.ObjectLockLegalHold{
				Status: types.ObjectLockLegalHoldStatusOn,
			}})
			if err != nil {
				t.Fatal(err)
			}
			for key, says := range map[string]string{"kept": "the object is locked until " + until.UTC().Format(time.RFC3339) + " (compliance)", "held": "the object is locked by a legal hold"} {
				err := s.Delete(t.Context(), key)
				var e *sinks.Error
				if !errors.Is(err, sinks.ErrLocked) || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || e.Op != "delete" || e.Key != key || !strings.Contains(err.Error(), says) || e.Hint == "" {
					t.Errorf("deleting what is %s says: %v", key, err)
				}
				p.holds(t, key, conformtest.Content(1, 100))
			}
			if versions, markers := p.versions(t); versions != 2 || markers != 0 {
				t.Errorf("there are %d versions and %d delete markers", versions, markers)
			}
		},
		"what is not locked is deleted from a bucket with locks": func(t *testing.T, p place) {
			p.bucket = p.LockedBucket(t)
			s := p.sink(t, nil)
			conformtest.MustPut(t, s, "a", conformtest.Content(1, part+1))
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			p.noVersions(t)
		},
	}
}

// noVersions checks that not even old versions or delete markers are left.
func (p place) noVersions(t *testing.T) {
	t.Helper()
	if versions, markers := p.versions(t); versions+markers > 0 {
		t.Errorf("left behind are %d versions and %d delete markers", versions, markers)
	}
}

func (p place) versions(t *testing.T) (versions, markers int) {
	t.Helper()
	found, err := p.Client().ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: &p.bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(found.Versions), len(found.DeleteMarkers)
}
