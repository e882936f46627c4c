package gcs_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
)

// notEnforced is what Google Cloud Storage holds and the server of these tests does not, each with how to find out. Should one
// begin to hold, the entry has to go, and what is tested through made-up answers can be tested for real.
func notEnforced() map[string]func(*testing.T, place) (holds bool) {
	return map[string]func(*testing.T, place) bool{
		"an object under a hold is not removed": func(t *testing.T, p place) bool {
			conformtest.MustPut(t, p.sink(t, nil), "a", []byte("x"))
			p.patch(t, "a", `{"temporaryHold": true}`)
			return errors.Is(p.sink(t, nil).Delete(t.Context(), "a"), sinks.ErrLocked)
		},
		"an object under retention is not removed": func(t *testing.T, p place) bool {
			conformtest.MustPut(t, p.sink(t, nil), "a", []byte("x"))
			p.patch(t, "a", `{"retention": {"mode": "Locked", "retainUntilTime": "2099-01-01T00:00:00Z"}}`)
			return errors.Is(p.sink(t, nil).Delete(t.Context(), "a"), sinks.ErrLocked)
		},
		"a chunk that comes twice is taken once": func(t *testing.T, p place) bool {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, nth := seen.Add(req); name == "chunk" && nth == 1 {
					return conformtest.Lose(req, send)
				}
				return send(req)
			}, nil)
			return conformtest.Put(t.Context(), s, "a", conformtest.Content(8, 3*chunk)) == nil
		},
		"the checksum that comes with the last chunk is compared": func(t *testing.T, p place) bool {
			refused := false
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
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
			if err := conformtest.Put(t.Context(), s, "a", conformtest.Content(8, 3*chunk)); err != nil && !refused {
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
	server := lab.StartGCS(t)
	conformtest.Race(t, "fake-gcs-server", place{GCS: server, bucket: server.Bucket(t)}.sink(t, nil), "")
}
