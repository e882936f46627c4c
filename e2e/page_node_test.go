//go:build node

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/browser"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestNodeTheReportOfARehearsalOpensInABrowser rehearses real backups and opens what was written: nothing is asked for, nothing complained of,
// and everything can be read, in light and dark, on a desk and on a phone. The screenshots lie in .cache/screenshots, to be looked at.
func TestNodeTheReportOfARehearsalOpensInABrowser(t *testing.T) {
	pages := rehearsedPages(t)
	b := browser.Start(t)
	shots := filepath.Join(repository(t), ".cache/screenshots")
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	keep := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(shots, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for verdict, file := range pages {
		roles := map[string]int{}
		for _, v := range []browser.View{
			{Width: 1280, Height: 900},
			{Width: 1280, Height: 900, Dark: true},
			{Width: 360, Height: 740},
			{Width: 360, Height: 740, Dark: true},
			{Width: 794, Height: 1123, Dark: true, Paper: true},
		} {
			name := fmt.Sprintf("rehearsal-%s-%d-dark-%t", verdict, v.Width, v.Dark)
			p := b.Open(t, file, v)
			keep(name+".png", p.Screenshot(t))
			if asked := p.Requests(); len(asked) != 1 || asked[0] != "file://"+file {
				t.Errorf("%s asks for %v", name, asked)
			}
			for _, c := range p.Complaints() {
				t.Errorf("%s: %s", name, c)
			}
			wantReadable(t, name, p, v)
			got := p.Roles(t)
			for _, role := range []string{"table", "row", "cell", "rowheader", "columnheader", "heading"} {
				if v.Width == 1280 && got[role] == 0 || v.Width != 1280 && got[role] != roles[role] {
					t.Errorf("%s: a screen reader is told of %d × %s, on a desk of %d", name, got[role], role, roles[role])
				}
			}
			if v.Width == 1280 {
				maps.Copy(roles, got)
			}
			if v.Paper {
				pdf := p.Print(t)
				if keep(name+".pdf", pdf); !bytes.HasPrefix(pdf, []byte("%PDF-")) {
					t.Errorf("%s cannot be printed", name)
				}
			}
		}
	}
}

// rehearsedPages are the pages of a rehearsal that passed, after others, and of one that failed.
func rehearsedPages(t *testing.T) map[string]string {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 2000, Seed: 21, Leases: 5}); err != nil {
		t.Fatal(err)
	}
	k, dir := newKeys(t), t.TempDir()
	signer, bucket := filepath.Join(dir, "sign.key"), filepath.Join(dir, "bucket")
	if err := os.Mkdir(bucket, 0o700); err != nil {
		t.Fatal(err)
	}
	lifeboat(t, "key", "new", "--signing", signer).must(t, 0)
	signed := []string{"--sink", "file://" + bucket, "--signing-key-file", signer}
	lifeboat(t, append(append([]string{"backup", "--attest", "--cluster", "prod", "--recipients-file", k.recipients}, signed...), etcdFlags(c)...)...).must(t, 0)
	passed, failed := filepath.Join(dir, "passed.html"), filepath.Join(dir, "failed.html")
	rehearse := func(code int, args ...string) {
		lifeboat(t, append(append([]string{"rehearse", "--identity", k.identity, "--trusted-keys-file", signer + ".pub"}, signed...), args...)...).must(t, code)
	}
	for range 2 {
		rehearse(0)
	}
	rehearse(0, "--members", "1")
	rehearse(0, "--html", passed, "--etcd", lab.Tool(t, "etcd-3.6", "etcd"), "--etcd", lab.Tool(t, "etcd-3.7", "etcd"))
	path := []string{"--etcd", lab.Tool(t, "etcd-3.5", "etcd"), "--etcd", lab.Tool(t, "etcd-3.6", "etcd"), "--etcd", lab.Tool(t, "etcd-3.7", "etcd")}
	rehearse(10, append(path, "--no-settle", "--accept-storage-version", "--html", failed)...)
	return map[string]string{"passed": passed, "failed": failed}
}

// contrasts lists the texts that stand out too little from what is behind them, by the rule of WCAG AA.
const contrasts = `(() => {
  const channel = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = s => s.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, style = getComputedStyle(e);
    if (!texts.currentNode.data.trim() || e.closest('title') || style.clipPath !== 'none') continue;
    const a = light(parse(style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 600;
    if (ratio < (large ? 3 : 4.5)) bad.push(ratio.toFixed(2) + ' ' + texts.currentNode.data.trim());
  }
  return bad;
})()`

// outside lists what is wider than the window, and drawings that leave their frame.
const outside = `(() => {
  const bad = [];
  for (const e of document.body.querySelectorAll('*')) {
    const r = e.getBoundingClientRect();
    if (r.width > 1 && (r.right > innerWidth + 0.5 || r.left < -0.5)) bad.push(e.outerHTML.slice(0, 120));
  }
  if (document.documentElement.scrollWidth > innerWidth) bad.push('the page is ' + document.documentElement.scrollWidth + ' wide');
  return bad;
})()`

// bars counts the phases that are drawn, and those that are drawn as recovery.
const bars = `({drawn: [...document.querySelectorAll('.timeline .within, .timeline .beyond')].filter(e => e.getBoundingClientRect().width >= 1).length,
  rows: document.querySelectorAll('.timeline tbody tr').length, recovery: document.querySelectorAll('.timeline .within').length,
  runs: document.querySelectorAll('.chart .at').length,
  dark: getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).every(c => c < 60)})`

func wantReadable(t *testing.T, name string, p *browser.Page, v browser.View) {
	t.Helper()
	for what, script := range map[string]string{"too little contrast": contrasts, "outside the window": outside} {
		var bad []string
		if p.Eval(t, script, &bad); len(bad) > 0 {
			t.Errorf("%s: %s: %s", name, what, strings.Join(bad, "\n"))
		}
	}
	var got struct {
		Drawn, Rows, Recovery, Runs int
		Dark                        bool
	}
	p.Eval(t, bars, &got)
	if got.Drawn != got.Rows || got.Rows < 6 || got.Recovery < 4 || got.Recovery >= got.Rows || got.Runs < 4 {
		t.Errorf("%s: drawn are %+v", name, got)
	}
	if got.Dark != (v.Dark && !v.Paper) { // nobody prints black sheets
		t.Errorf("%s: that it is dark is %t", name, got.Dark)
	}
}

// TestNodeTheBrowserNoticesWhatAPageMayNotDo: what the test above would see.
func TestNodeTheBrowserNoticesWhatAPageMayNotDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.html")
	page := `<!doctype html><img src="http://192.0.2.1/pixel.png"><p style="color:#999;width:2000px">grey</p><script>console.error("a word")</script>`
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browser.Start(t).Open(t, file, browser.View{Width: 360, Height: 700})
	if asked := p.Requests(); len(asked) != 2 {
		t.Errorf("it asked for %v", asked)
	}
	if said := strings.Join(p.Complaints(), "\n"); !strings.Contains(said, "a word") || !strings.Contains(said, "net::ERR") {
		t.Errorf("it complained of %s", said)
	}
	for _, script := range []string{contrasts, outside} {
		var bad []string
		if p.Eval(t, script, &bad); len(bad) == 0 {
			t.Errorf("nothing is found wrong by %s", script)
		}
	}
}
