package kubeevent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhoIsNotInAPodIsToldWhatIsMissing(t *testing.T) {
	account := t.TempDir()
	if err := os.WriteFile(filepath.Join(account, "namespace"), []byte("backups\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := map[string]string{"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
	named := map[string]string{PodName: "lifeboat-0", JobName: "", JobUID: ""}
	for what, c := range map[string]struct {
		account string
		env     []map[string]string
		missing string
	}{
		"no API server":      {account, []map[string]string{named}, "KUBERNETES_SERVICE_HOST"},
		"no name":            {account, []map[string]string{server}, PodName},
		"no service account": {t.TempDir(), []map[string]string{server, named}, "service account"},
		"everything":         {account, []map[string]string{server, named}, ""},
	} {
		lookup := func(name string) (string, bool) {
			for _, env := range c.env {
				if value, found := env[name]; found {
					return value, true
				}
			}
			return "", false
		}
		p, err := Here(lookup, c.account)
		if c.missing != "" {
			var not *NotInPodError
			if !errors.As(err, &not) || not.Hint() == "" || !strings.Contains(err.Error(), c.missing) {
				t.Errorf("%s: %v, want it to speak of %s", what, err, c.missing)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		o := p.object(Event{Reason: "PruneDone"})
		if p.server != "https://[fd00::1]:443" || o.Metadata["namespace"] != "backups" || o.Regarding.Kind != "Pod" || o.Regarding.Name != "lifeboat-0" || o.Related != nil {
			t.Errorf("without a Job, at %s it is %+v", p.server, o)
		}
	}
}

func TestANoteIsCutOffBetweenCharacters(t *testing.T) {
	for _, text := range []string{strings.Repeat("備", 500), "x" + strings.Repeat("備", 500), "xx" + strings.Repeat("備", 500), strings.Repeat("x", 1025)} {
		note := cut(text, longestNote, "…")
		kept, marked := strings.CutSuffix(note, "…")
		if len(note) > longestNote || len(note) < longestNote-3 || !utf8.ValidString(note) || !marked || !strings.HasPrefix(text, kept) {
			t.Errorf("of %d bytes %d are left: %q", len(text), len(note), note)
		}
	}
	if whole := strings.Repeat("x", longestNote); cut(whole, longestNote, "…") != whole {
		t.Error("what fits was cut off")
	}
}
