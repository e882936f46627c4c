// Package browser opens pages in a headless Chromium that cannot reach anything, and tells what they asked for and complained of. It
// speaks the DevTools protocol over a pair of pipes, so no port is open either.
package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// patience is how long one answer of the browser may take on a machine that is busy.
const patience = 2 * time.Minute

// Browser is a running Chromium.
type Browser struct {
	*wire
}

// Start runs a Chromium until the test ends: with a profile of its own, in a network namespace without an interface.
func Start(t testing.TB) *Browser {
	t.Helper()
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	unpacked := filepath.Join(root, ".cache/chromium")
	program := filepath.Join(unpacked, "usr/lib/chromium/chromium")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("Chromium is not in .cache (make chromium gets it): %v", err)
	}
	libraries, err := filepath.Glob(filepath.Join(unpacked, "usr/lib/*-linux-gnu"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range libraries {
		libraries = append(libraries, filepath.Join(dir, "pulseaudio"))
	}
	home := lab.Dir(t)
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir="+home, "about:blank")
	cmd.Env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"),
		"FONTCONFIG_FILE=" + filepath.Join(unpacked, "fonts.conf"),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true}
	log, err := os.Create(filepath.Join(home, "chromium.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, where Chromium looks
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Chromium, which needs root for a namespace of its own: %v", err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children too; what it answers is of no interest
		_ = cmd.Wait()
		_, _ = in.Close(), out.Close()
	})
	return &Browser{newWire(in, out)}
}

// View is how a page is looked at.
type View struct {
	Width, Height int
	Dark          bool
	Paper         bool // as it would be printed
}

// Page is a page that was loaded.
type Page struct {
	b       *Browser
	session string
}

// Open loads a file and waits until that is done.
func (b *Browser) Open(t testing.TB, file string, v View) *Page {
	t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.call(t, "", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	b.call(t, "", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Page{b, attached.SessionID}
	scheme, media := "light", "screen"
	if v.Dark {
		scheme = "dark"
	}
	if v.Paper {
		media = "print"
	}
	for _, domain := range []string{"Page", "Network", "Log", "Runtime", "Audits", "Accessibility"} {
		p.call(t, domain+".enable", nil, nil)
	}
	p.call(t, "Emulation.setDeviceMetricsOverride", object{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": v.Width < 600}, nil)
	p.call(t, "Emulation.setEmulatedMedia", object{"media": media, "features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.call(t, "Page.navigate", object{"url": "file://" + file}, nil)
	b.wait(t, p.session, "Page.loadEventFired")
	return p
}

func (p *Page) call(t testing.TB, method string, params object, result any) {
	t.Helper()
	p.b.call(t, p.session, method, params, result)
}

// Requests are the addresses that the page asked for, its own first. Those that were stopped count as well.
func (p *Page) Requests() (all []string) {
	for _, e := range p.b.heard(p.session, "Network.requestWillBeSent") {
		var sent struct {
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		}
		if err := json.Unmarshal(e.Params, &sent); err != nil {
			return append(all, err.Error())
		}
		all = append(all, sent.Request.URL)
	}
	return all
}

// Complaints are what stands in the console, what was thrown, and what a policy stopped.
func (p *Page) Complaints() (all []string) {
	for _, e := range p.b.heard(p.session, "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded") {
		all = append(all, fmt.Sprintf("%s %s", e.Method, e.Params))
	}
	return all
}

// Eval runs a script that the page itself could not, and decodes what it returns.
func (p *Page) Eval(t testing.TB, script string, result any) {
	t.Helper()
	var got struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	p.call(t, "Runtime.evaluate", object{"expression": script, "returnByValue": true}, &got)
	if got.Exception != nil {
		t.Fatalf("the script failed: %s", got.Exception)
	}
	if err := json.Unmarshal(got.Result.Value, result); err != nil {
		t.Fatalf("the script returned %s: %v", got.Result.Value, err)
	}
}

// Roles counts what a screen reader is told that there is: tables, rows, headings.
func (p *Page) Roles(t testing.TB) map[string]int {
	t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored bool `json:"ignored"`
			Role    struct {
				Value string `json:"value"`
			} `json:"role"`
		} `json:"nodes"`
	}
	p.call(t, "Accessibility.getFullAXTree", nil, &tree)
	count := map[string]int{}
	for _, n := range tree.Nodes {
		if !n.Ignored {
			count[n.Role.Value]++
		}
	}
	return count
}

// Screenshot is the whole page as PNG.
func (p *Page) Screenshot(t testing.TB) []byte {
	t.Helper()
	return p.picture(t, "Page.captureScreenshot", object{"captureBeyondViewport": true, "optimizeForSpeed": true})
}

// Print is the page on paper, as PDF.
func (p *Page) Print(t testing.TB) []byte {
	t.Helper()
	return p.picture(t, "Page.printToPDF", object{"preferCSSPageSize": true})
}

func (p *Page) picture(t testing.TB, method string, params object) []byte {
	t.Helper()
	var got struct {
		Data string `json:"data"`
	}
	p.call(t, method, params, &got)
	data, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
