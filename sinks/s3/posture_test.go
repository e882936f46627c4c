package s3_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func postureTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"APlainBucketIsAdvisedAbout":             plainPosture,
		"AVersionedAndLockedBucketIsFine":        lockedPosture,
		"LifecycleRulesThatHitAreTold":           lifecyclePosture,
		"LifecycleRulesOfOthersAreLeftAlone":     lifecycleOfOthers,
		"APublicBucketIsTold":                    publicPosture,
		"WhatMayNotBeAskedIsUnknownAndNoFailure": forbiddenPosture,
	}
}

func findings(t *testing.T, s *s3.Sink) map[string]sinks.Finding {
	t.Helper()
	all := map[string]sinks.Finding{}
	for _, f := range s.Examine(t.Context(), "v1/") {
		if f.OK && f.Unknown || f.Detail == "" || strings.Contains(f.Detail, "\n") {
			t.Errorf("a finding that says nothing, or two things: %+v", f)
		}
		all[f.Name] = f
	}
	return all
}

// finds fails the test unless a finding is as it should be and tells the words.
func finds(t *testing.T, all map[string]sinks.Finding, name string, ok bool, words ...string) {
	t.Helper()
	f, there := all[name]
	if !there || f.OK != ok || f.Unknown {
		t.Errorf("%s: %+v, want ok %v", name, f, ok)
	}
	for _, w := range words {
		if !strings.Contains(f.Detail, w) {
			t.Errorf("%s: %q does not tell %q", name, f.Detail, w)
		}
	}
}

func plainPosture(t *testing.T, p place) {
	all := findings(t, p.sink(t, nil))
	finds(t, all, "versioning", false, "off")
	finds(t, all, "object lock", false, "off")
	finds(t, all, "lifecycle: expiry", true)
	finds(t, all, "lifecycle: unfinished uploads", false, "AbortIncompleteMultipartUpload")
	finds(t, all, "encryption at rest", true)
	finds(t, all, "public access", true)
}

func lockedPosture(t *testing.T, p place) {
	p.bucket = p.LockedBucket(t)
	finds(t, findings(t, p.sink(t, nil)), "object lock", false, "without a default retention")
	for mode, words := range map[types.ObjectLockRetentionMode]string{
		types.ObjectLockRetentionModeGovernance: "s3:BypassGovernanceRetention", types.ObjectLockRetentionModeCompliance: "nobody at all",
	} {
		_, err := p.Client().PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
			Bucket: &p.bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
				ObjectLockEnabled: types.ObjectLockEnabledEnabled,
				Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: mode, Days: aws.Int32(30)}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		all := findings(t, p.sink(t, nil))
		finds(t, all, "object lock", true, "30 days", string(mode), words)
		finds(t, all, "versioning", true, "on")
	}
}

// rules sets the bucket's lifecycle.
func (p place) rules(t *testing.T, rules ...types.LifecycleRule) {
	t.Helper()
	for i := range rules {
		rules[i].Status = types.ExpirationStatusEnabled
	}
	if _, err := p.Client().PutBucketLifecycleConfiguration(t.Context(), &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: &p.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	}); err != nil {
		t.Fatal(err)
	}
}

func under(prefix string) *types.LifecycleRuleFilter {
	return &types.LifecycleRuleFilter{Prefix: &prefix}
}

func lifecyclePosture(t *testing.T, p place) {
	p = p.versioned(t)
	for _, prefix := range []string{"", "team/", "team/etcd/v1/prod/"} { // above the sink's own, and below
		p.rules(t,
			types.LifecycleRule{ID: aws.String("spring cleaning"), Filter: under(prefix), Expiration: &types.LifecycleExpiration{Days: aws.Int32(30)}},
			types.LifecycleRule{ID: aws.String("old"), Filter: under(prefix), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(3)}},
		)
		all := findings(t, p.sink(t, func(o *s3.Options) { o.Prefix = "team/etcd" }))
		finds(t, all, "lifecycle: expiry", false, "spring cleaning", "REMOVES BACKUPS after 30 days")
		finds(t, all, "lifecycle: old versions", false, `"old"`, "after 3 days")
	}
}

func lifecycleOfOthers(t *testing.T, p place) {
	p = p.versioned(t)
	expire := &types.LifecycleExpiration{Days: aws.Int32(30)}
	p.rules(t,
		types.LifecycleRule{ID: aws.String("logs"), Filter: under("logs/"), Expiration: expire},
		types.LifecycleRule{ID: aws.String("alike"), Filter: under("etcd-old/"), Expiration: expire},
		types.LifecycleRule{ID: aws.String("tagged"), Filter: &types.LifecycleRuleFilter{Tag: &types.Tag{Key: aws.String("a"), Value: aws.String("b")}}, Expiration: expire},
		types.LifecycleRule{ID: aws.String("patient"), Filter: under("etcd/"), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(60)}},
	)
	all := findings(t, p.sink(t, func(o *s3.Options) { o.Prefix = "etcd" }))
	finds(t, all, "lifecycle: expiry", true)
	finds(t, all, "lifecycle: old versions", true)
	finds(t, all, "lifecycle: archive", true)
}

func publicPosture(t *testing.T, p place) {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetBucketLocation","s3:ListBucket"],` +
		`"Resource":["arn:aws:s3:::` + p.bucket + `"]},{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + p.bucket + `/*"]}]}`
	if _, err := p.Client().PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: &p.bucket, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	finds(t, findings(t, p.sink(t, nil)), "public access", false, "everybody")
}

// forbiddenPosture has every question about settings refused, and then not understood.
func forbiddenPosture(t *testing.T, p place) {
	for status, words := range map[int]string{http.StatusForbidden: "needs s3:Get", http.StatusNotImplemented: "does not know the question"} {
		s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
		}, nil)
		all := s.Examine(t.Context(), "v1/")
		if len(all) < 8 {
			t.Errorf("only %d findings", len(all))
		}
		for _, f := range all {
			if f.OK || !f.Unknown || !strings.Contains(f.Detail, words) {
				t.Errorf("with answers %d: %+v", status, f)
			}
		}
	}
}

// TestVersityGWIsExaminedAsFarAsItTells has a store that knows no lifecycle.
func TestVersityGWIsExaminedAsFarAsItTells(t *testing.T) {
	t.Parallel()
	server := lab.StartVersityGW(t)
	p := place{server, server.VersionedBucket(t)}
	all := findings(t, p.sink(t, nil))
	finds(t, all, "versioning", true)
	if f := all["lifecycle: expiry"]; !f.Unknown || !strings.HasPrefix(f.Detail, "cannot tell: ") {
		t.Errorf("%+v", f)
	}
}
