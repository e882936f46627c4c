package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// A block is one fenced block of a page.
type block struct {
	page, lang, text string
	line             int
}

// stock are the tools of others with which a backup opens too. They come from e2e/tools and Debian's packages.
var stock = regexp.MustCompile(`(?m)^\s*(age|zstd|etcdutl|etcdctl)\b`)

func (b block) needsStockTools() bool { return stock.MatchString(b.text) }

// blocks reads the fenced blocks of a page. One without a language is an error: nothing would say whether it is run.
func blocks(t testing.TB, page string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), page))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			if lang == "" {
				t.Errorf("%s:%d: the block has no language", page, i+1)
			}
			open = &block{page: page, lang: lang, line: i + 1}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", page, open.line)
	}
	return all
}

func repository(t testing.TB) string {
	t.Helper()
	dir, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A desk is where a page's commands are run: a folder with bin/lifeboat, a cluster for the page's addresses, and folders of the
// test's own for the page's. Nothing else of what is written in the page is changed.
type desk struct {
	node    string // the folder of the node that it stands for; "" if none
	dir     string
	env     []string
	replace *strings.Replacer
}

// newDesk lays out a desk whose pages speak of the given cluster. more are further replacements, old and new in turn.
func newDesk(t testing.TB, c *lab.Cluster, more ...string) *desk {
	t.Helper()
	dir := lab.Dir(t)
	bin := filepath.Join(dir, "bin")
	for _, d := range []string{bin, filepath.Join(dir, "lib")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(built, "lifeboat"), filepath.Join(bin, "lifeboat")); err != nil {
		t.Fatal(err)
	}
	realMake, err := exec.LookPath("make")
	if err != nil {
		t.Fatal(err)
	}
	// A page says `make test`, and this may be that very run: that the target exists is what is checked.
	makeN := "#!/bin/sh\nunset MAKEFLAGS MAKELEVEL MFLAGS\nexec '" + realMake + "' -C '" + repository(t) + "' -n \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "make"), []byte(makeN), 0o755); err != nil {
		t.Fatal(err)
	}
	e := c.Endpoints()
	return &desk{
		dir: dir,
		env: append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH")),
		replace: strings.NewReplacer(append([]string{
			"https://10.0.0.5:2379", e[0], "https://10.0.0.6:2379", e[1], "https://10.0.0.7:2379", e[2],
			"/etc/kubernetes/pki/etcd/ca.crt", c.CAFile,
			"/etc/kubernetes/pki/etcd/healthcheck-client.crt", c.CertFile,
			"/etc/kubernetes/pki/etcd/healthcheck-client.key", c.KeyFile,
			"/var/backups/etcd", filepath.Join(dir, "backups"),
			"/var/lib/etcd-restored", filepath.Join(dir, "lib", "etcd-restored"),
		}, more...)...),
	}
}

// tool puts a program of others on the desk.
func (d *desk) tool(t testing.TB, module, binary string) {
	t.Helper()
	if err := os.Symlink(lab.Tool(t, module, binary), filepath.Join(d.dir, "bin", binary)); err != nil {
		t.Fatal(err)
	}
}

// run runs what a page says, and fails the test if any command of it fails.
func (d *desk) run(t testing.TB, where, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a page may wait for something, and a test not for ever
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-u", "-o", "pipefail", "-c", d.replace.Replace(script))
	cmd.Dir, cmd.Env, cmd.WaitDelay = d.dir, d.env, time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v in\n%s\n%s", where, err, d.replace.Replace(script), out)
	}
	return string(out)
}

// TestTranslatedPagesSayTheSameCommands keeps the translations in step with the English pages.
func TestTranslatedPagesSayTheSameCommands(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, page := range pages(t) {
		english, translated := strings.CutSuffix(page, ".zh-CN.md")
		if !translated || english == "docs/README" { // which is the repository's, and compared with that
			continue
		}
		compared++
		want, got := strings.Join(readmeCommands(t, english+".md"), "\n"), strings.Join(readmeCommands(t, page), "\n")
		if got != want {
			t.Errorf("%s says\n%s\nand the English page\n%s", page, got, want)
		}
	}
	if compared < 40 {
		t.Errorf("only %d translations were found", compared)
	}
}
