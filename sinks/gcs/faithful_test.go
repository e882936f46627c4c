package gcs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
)

// notEnforced is what Google Cloud Storage holds and the server of these tests does not, each with how to find out. Should one
// begin to hold, the entry has to go, and what is tested through made-up answers can be tested for real.
func notEnforced() map[string]func(*testing.T, place) (holds bool) {
	return map[string]func(*testing.T, place) bool{
		"an object under a hold is not removed": func(t *testing.T, p place) bool {
			mustPut(t, p.sink(t, nil), "a", []byte("x"))
			p.patch(t, "a", `{"temporaryHold": true}`)
			return errors.Is(p.sink(t, nil).Delete(t.Context(), "a"), sinks.ErrLocked)
		},
		"an object under retention is not removed": func(t *testing.T, p place) bool {
			mustPut(t, p.sink(t, nil), "a", []byte("x"))
			p.patch(t, "a", `{"retention": {"mode": "Locked", "retainUntilTime": "2099-01-01T00:00:00Z"}}`)
			return errors.Is(p.sink(t, nil).Delete(t.Context(), "a"), sinks.ErrLocked)
		},
		"a chunk that comes twice is taken once": func(t *testing.T, p place) bool {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if name, nth := seen.add(req); name == "chunk" && nth == 1 {
					return lose(req, send)
				}
				return send(req)
			}, nil)
			return put(t.Context(), s, "a", content(8, 3*chunk)) == nil
		},
		"the checksum that comes with the last chunk is compared": func(t *testing.T, p place) bool {
			refused := false
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if callName(req) != "last chunk" {
					return send(req)
				}
				if req.Header.Get("X-Goog-Hash") == "" {
					t.Error("no checksum comes with the last chunk")
				}
				req.Header.Set("X-Goog-Hash", "crc32c=AAAAAA==")
				resp, err := send(req)
				refused = err == nil && resp.StatusCode == http.StatusBadRequest
				return resp, err
			}, nil)
			if err := put(t.Context(), s, "a", content(8, 3*chunk)); err != nil && !refused {
				t.Error(err)
			}
			return refused
		},
	}
}

func faithTests() map[string]func(*testing.T, place) {
	tests := map[string]func(*testing.T, place){}
	for name, holds := range notEnforced() {
		tests["not enforced: "+name] = func(t *testing.T, p place) {
			if holds(t, p) {
				t.Errorf("%q holds now: take it from the list", name)
			}
		}
	}
	return tests
}

// patch changes an object's metadata without a sink.
func (p place) patch(t *testing.T, key, change string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, p.URL+"/storage/v1/b/"+p.bucket+"/o/"+key, bytes.NewReader([]byte(change)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// TestOfEightRacingCreatorsOneWins races them again and again: a race that is lost once in a hundred times loses backups.
func TestOfEightRacingCreatorsOneWins(t *testing.T) {
	t.Parallel()
	rounds := 20
	if lab.Long() {
		rounds = 200
	}
	server := lab.StartGCS(t)
	p := place{GCS: server, bucket: server.Bucket(t)}
	s := p.sink(t, nil)
	races := slices.DeleteFunc(conform.Checks(), func(c sinks.Check) bool { return !strings.HasPrefix(c.Name, "of eight racing") })
	if len(races) != 2 {
		t.Fatalf("%d checks are races", len(races))
	}
	for _, c := range races {
		for range rounds {
			if err := c.Run(t.Context(), s, ""); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}
	}
	if _, err := s.Open(t.Context(), "none", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	lab.Report(t, "%d races of eight creators on the GCS server, one winner each", 2*rounds)
}
