package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// address is where a service listens that was told to take any port.
func (s *service) address(t testing.TB) string {
	t.Helper()
	return "http://" + listening.FindStringSubmatch(s.until(t, 1, `msg=listening`))[1]
}

// ask gets a page, and returns its status with the text.
func ask(t testing.TB, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// series are the samples of a scrape, as in `backups{cluster="prod",sink="here"}`, without lifeboat_ before them.
type series map[string]float64

// scrape reads /metrics.
func (s *service) scrape(t testing.TB) series {
	t.Helper()
	status, text := ask(t, s.address(t)+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	all := series{}
	for line := range strings.Lines(text) {
		name, ours := strings.CutPrefix(strings.TrimSpace(line), "lifeboat_")
		if at := strings.LastIndex(name, " "); ours && at > 0 {
			v, err := strconv.ParseFloat(name[at+1:], 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all[name[:at]] = v
		}
	}
	return all
}

// shows scrapes until the metrics are as they should be.
func (s *service) shows(t testing.TB, what string, is func(series) bool) series {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		m := s.scrape(t)
		if is(m) {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited long enough for metrics that show %s; there are %v", what, m)
		}
	}
}

// of are the series that speak of a cluster.
func (m series) of(cluster string) series {
	found := series{}
	for name, v := range m {
		if strings.Contains(name, `cluster="`+cluster+`"`) {
			found[name] = v
		}
	}
	return found
}
