package s3_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// TestAListingWithoutEndIsAnError: no real store does this, so a made one has to.
func TestAListingWithoutEndIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token func(page int) string
		want  string
	}{
		"the same place again": {func(int) string { return "here" }, "begins again at the same place"},
		"only empty pages":     {func(page int) string { return fmt.Sprint(page) }, "1000 pages in a row had nothing"},
		"nowhere":              {func(int) string { return "" }, "does not say where"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				page++
				token := ""
				if next := c.token(page); next != "" {
					token = "<NextContinuationToken>" + next + "</NextContinuationToken>"
				}
				fmt.Fprintf(w, "<ListBucketResult><IsTruncated>true</IsTruncated>%s</ListBucketResult>", token)
			}))
			t.Cleanup(web.Close)
			s, err := s3.New(t.Context(), s3.Options{Bucket: "b", Region: "us-east-1", Endpoint: web.URL, CredentialsFile: credentialsFile(t, "a", "b", "")})
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range s.List(t.Context(), "") {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			t.Error("it ended")
		})
	}
}
