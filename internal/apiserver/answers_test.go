package apiserver

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestAPageOfAListIsReadObjectByObject has the shapes in which an API server writes lists.
func TestAPageOfAListIsReadObjectByObject(t *testing.T) {
	for name, c := range map[string]struct {
		text, next string
		objects    int
		bad        bool
	}{
		"page":                {`{"kind":"PodList","metadata":{"resourceVersion":"5","continue":"abc"},"items":[{"a":1},{"b":{"c":[2]}}]}`, "abc", 2, false},
		"last page":           {`{"metadata":{"resourceVersion":"5"},"items":[{"a":1}]}`, "", 1, false},
		"metadata at the end": {`{"items":[{"a":1}],"extra":{"x":[1,{}]},"metadata":{"continue":"abc"}}`, "abc", 1, false},
		"empty":               {`{"metadata":{},"items":[]}`, "", 0, false},
		"null":                {`{"items":null,"metadata":{}}`, "", 0, false},
		"cut short":           {`{"metadata":{},"items":[{"a":1},{"b":`, "", 1, true},
		"cut short between":   {`{"metadata":{},"items":[{"a":1}`, "", 1, true},
		"no list":             {`["a"]`, "", 0, true},
		"items of no list":    {`{"items":{"a":1}}`, "", 0, true},
		"nothing":             {``, "", 0, true},
	} {
		n := 0
		next, err := page(strings.NewReader(c.text), func(json.RawMessage) error { n++; return nil })
		if next != c.next && err == nil || n != c.objects || (err != nil) != c.bad {
			t.Errorf("%s: %q, %d objects, %v", name, next, n, err)
		}
	}
	stop := errors.New("enough")
	if _, err := page(strings.NewReader(`{"items":[{},{}]}`), func(json.RawMessage) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerSaysWhatTheServerSaid(t *testing.T) {
	gone := refusal(410, []byte(`{"kind":"Status","status":"Failure","message":"too old resource version: 1 (5)","reason":"Expired","code":410}`))
	if gone.Error() != "too old resource version: 1 (5) (410)" || !errors.Is(gone, ErrExpired) {
		t.Error(gone)
	}
	plain := refusal(503, []byte("service unavailable\n"))
	if plain.Error() != "service unavailable (503)" || errors.Is(plain, ErrExpired) {
		t.Error(plain)
	}
	waits := refusal(500, []byte("[+]ping ok\n[-]informer-sync failed: reason withheld\n[+]log ok\n[-]poststarthook/storage-readiness failed: reason withheld\n")).unready()
	if waits.Error() != "it waits for informer-sync, poststarthook/storage-readiness" {
		t.Error(waits)
	}
}

func TestTheLastWordsOfALogAreItsLastComplaint(t *testing.T) {
	for log, want := range map[string]string{
		"":                                  "",
		"I1126 15:48:32.1 1 a.go:1] fine\n": "I1126 15:48:32.1 1 a.go:1] fine",
		"E1126 15:48:32.4 2107 run.go:72] \"command failed\" err=\"no such file\"\nI1126 15:48:33.0 1 a.go:1] fine\n": `"command failed" err="no such file"`,
		"Error: unknown flag: --x\n":    "Error: unknown flag: --x",
		"a\npanic: boom\n\ngoroutine 1": "panic: boom",
	} {
		if got := lastWords([]byte(log)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
