package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func TestLeftoversAreToldOfAndNothingElseIsRemoved(t *testing.T) {
	t.Parallel()
	s := onlyNamed(sink(t))
	var _ sinks.Unfinished = s
	if err := put(t.Context(), s, "a/b/object", "x"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{tempPrefix + "1", "a/" + tempPrefix + "2", "a/b/" + tempPrefix + "3", "a/b/" + sinks.Reserved + "other"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string][]string{
		"": {tempPrefix + "1", "a/" + tempPrefix + "2", "a/b/" + tempPrefix + "3"}, "a/": {"a/" + tempPrefix + "2", "a/b/" + tempPrefix + "3"},
		"a/b/": {"a/b/" + tempPrefix + "3"}, "a/c": nil, "nothing/": nil,
	} {
		var got []string
		for u, err := range s.Uploads(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if u.Started.IsZero() || u.ID == "" {
				t.Errorf("%+v lacks something", u)
			}
			got = append(got, u.Key)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("under %q there are %q, not %q", prefix, got, want)
		}
	}
	for u := range s.Uploads(t.Context(), "") {
		if err := errors.Join(s.Abort(t.Context(), u), s.Abort(t.Context(), u)); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"a/b/object", "a/b/" + sinks.Reserved + "other", "../" + tempPrefix, "a/../" + tempPrefix + "1", "a"} {
		if err := s.Abort(t.Context(), sinks.Upload{Key: key}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("giving up %s says: %v", key, err)
		}
	}
	if left := files(t, s); !slices.Equal(left, []string{"a/b/" + sinks.Reserved + "other", "a/b/object"}) {
		t.Errorf("left are %q", left)
	}
}
