package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

var (
	fenced  = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	remark  = regexp.MustCompile(`(?m) +#.*$`)
	created = regexp.MustCompile(`--from=cronjob/(\S+)`)
)

// blocksOf are the fenced blocks of a page in one language, without remarks.
func blocksOf(t testing.TB, page, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			all = append(all, remark.ReplaceAllString(m[2], ""))
		}
	}
	return all
}

// TestWhatThePagesInstallIsRendered runs the pages' `helm install` as they say it, but for rendering only, with a key made as they say it; the CronJob that
// a backup is then made from is there.
func TestWhatThePagesInstallIsRendered(t *testing.T) {
	t.Parallel()
	desk := t.TempDir()
	must(t, "key", "new", filepath.Join(desk, "backup.key"))
	bin := filepath.Join(desk, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ \"$1\" = install ] && shift && exec " + lab.Tool(t, "helm", "helm") + " template --kube-version " + newestKube + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "helm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(repository(t), "charts"), filepath.Join(desk, "charts")); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"docs/kubernetes.md", folder + "/README.md"} {
		installed := false
		for _, b := range blocksOf(t, page, "sh") {
			_, command, found := strings.Cut(b, "helm install")
			if !found {
				continue
			}
			installed = true
			command, after, _ := strings.Cut(command, "\nhelm test")
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", "helm install"+command)
			cmd.Dir, cmd.Env = desk, append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+desk)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v in\n%s", page, err, command)
			}
			jobs := ofKind(objectsIn(t, string(out)), "CronJob")
			for _, m := range created.FindAllStringSubmatch(after, -1) {
				if !slices.ContainsFunc(jobs, func(o object) bool { return o.Metadata.Name == m[1] }) {
					t.Errorf("%s: there is no CronJob %s", page, m[1])
				}
			}
		}
		if !installed {
			t.Errorf("%s installs nothing", page)
		}
	}
}

// TestThePagesValuesAreTaken renders the values that the page shows.
func TestThePagesValuesAreTaken(t *testing.T) {
	t.Parallel()
	all := blocksOf(t, "docs/kubernetes.md", "yaml")
	if len(all) == 0 {
		t.Fatal("the page shows no values")
	}
	for _, b := range all {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := template(t, "--values", file, "--set", three[len(three)-1]); err != nil {
			t.Error(err)
		}
	}
}
