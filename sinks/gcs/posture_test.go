package gcs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

// settings makes a sink of a bucket whose settings are the given JSON; with another status there is nothing but that.
func settings(t *testing.T, status int, attrs string) *gcs.Sink {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, attrs)
	}))
	t.Cleanup(server.Close)
	s, err := gcs.New(t.Context(), gcs.Options{Bucket: "bucket", Prefix: "etcd", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judged compares findings with which of them should be fine; those not named should not.
func judged(t *testing.T, s *gcs.Sink, fine string) map[string]sinks.Finding {
	t.Helper()
	all := map[string]sinks.Finding{}
	for _, f := range s.Examine(t.Context(), "v1/") {
		all[f.Name] = f
		if want := strings.Contains(fine, f.Name); f.OK != want || f.Unknown || f.Detail == "" {
			t.Errorf("%+v, want ok %v", f, want)
		}
	}
	if len(all) != 6 {
		t.Errorf("%d findings", len(all))
	}
	return all
}

func TestABucketsSettingsAreJudged(t *testing.T) {
	t.Parallel()
	judged(t, settings(t, 200, `{"name": "bucket"}`), "lifecycle: expiry, lifecycle: archive")
	judged(t, settings(t, 200, `{"name": "bucket", "versioning": {"enabled": true}, "softDeletePolicy": {"retentionDurationSeconds": "2592000"},
		"retentionPolicy": {"retentionPeriod": "604800", "effectiveTime": "2026-01-01T00:00:00Z"}, "iamConfiguration": {"publicAccessPrevention": "enforced"},
		"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["logs/"]}},
			{"action": {"type": "Delete"}, "condition": {"age": 30, "isLive": false}}]}}`),
		"versioning, soft delete, retention policy, lifecycle: expiry, lifecycle: archive, public access")
	all := judged(t, settings(t, 200, `{"name": "bucket", "softDeletePolicy": {"retentionDurationSeconds": "604800"},
		"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30}},
			{"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"age": 7, "matchesPrefix": ["etcd/v1/prod/"]}}]}}`), "none")
	for name, words := range map[string]string{"soft delete": "for 7 days", "lifecycle: expiry": "REMOVES BACKUPS", "lifecycle: archive": "ARCHIVE"} {
		if !strings.Contains(all[name].Detail, words) {
			t.Errorf("%+v does not tell %q", all[name], words)
		}
	}
}

func TestSettingsThatMayNotBeSeenAreUnknownAndNoFailure(t *testing.T) {
	t.Parallel()
	all := settings(t, 403, `{"error": {"code": 403, "message": "no"}}`).Examine(t.Context(), "v1/")
	if len(all) != 6 {
		t.Errorf("%d findings", len(all))
	}
	for _, f := range all {
		if f.OK || !f.Unknown || f.Detail != "cannot tell: needs storage.buckets.get" {
			t.Errorf("%+v", f)
		}
	}
}

func TestTheGCSServersBucketIsExamined(t *testing.T) {
	t.Parallel()
	server := lab.StartGCS(t)
	s, err := gcs.New(t.Context(), gcs.Options{Bucket: server.Bucket(t), Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	judged(t, s, "lifecycle: expiry, lifecycle: archive")
}

func TestPoliciesNameBucketPrefixAndNoMoreThanTheRoleNeeds(t *testing.T) {
	t.Parallel()
	s := settings(t, 200, "{}")
	for role, want := range map[sinks.Role]string{
		sinks.Writer:   "--permissions=storage.objects.get,storage.objects.list,storage.objects.create\n",
		sinks.Pruner:   "--permissions=storage.objects.get,storage.objects.list,storage.objects.delete,storage.buckets.get\n",
		sinks.Restorer: "--permissions=storage.objects.get,storage.objects.list\n",
	} {
		p := s.Policy(role)
		if !strings.Contains(p, want) || !strings.Contains(p, `startsWith("projects/_/buckets/bucket/objects/etcd/")`) || !strings.Contains(p, "gs://bucket") {
			t.Errorf("the %s's:\n%s", role, p)
		}
	}
}
