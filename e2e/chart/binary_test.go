package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// built is the lifeboat binary under test. TestMain sets it once.
var built string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lifeboat-chart-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if built, err = lab.BuildLifeboat(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// lifeboat runs the built binary to its end.
func lifeboat(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

// must runs it, and fails the test unless it succeeds.
func must(t testing.TB, args ...string) string {
	t.Helper()
	code, stdout, stderr := lifeboat(t, args...)
	if code != 0 {
		t.Fatalf("lifeboat %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// A pretender has the files of a pod: everything that Secrets hold in the variants, below a folder of its own instead of /etc/lifeboat.
type pretender struct{ dir, trusted string }

func newPretender(t testing.TB) pretender {
	t.Helper()
	p := pretender{dir: t.TempDir()}
	ca, err := pki.NewCA(filepath.Join(p.dir, "pki"), "etcd")
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue("client", pki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"", "etcd-client", "etcd-ca", "prod-etcd-client", "staging-etcd-client"}
	for i := range fleetSize {
		secrets = append(secrets, fmt.Sprintf("etcd-%02d", i))
	}
	for _, secret := range secrets {
		p.copy(t, client.CA, "etcd", secret, "ca.crt")
		for as, file := range map[string]string{"tls": client.Cert, "healthcheck-client": client.Cert} {
			p.copy(t, file, "etcd", secret, as+".crt")
			p.copy(t, client.Key, "etcd", secret, as+".key")
		}
	}
	for _, sink := range []string{"primary", "second-site"} {
		p.copy(t, client.CA, "authorities", sink, "ca.crt")
		p.write(t, "[default]\naws_access_key_id = a\naws_secret_access_key = b\n", "sinks", sink, "credentials")
	}
	p.write(t, "password\n", "passwords", "etcd-root", "password")
	p.write(t, "correct horse battery staple\n", "identity", "passphrase")
	must(t, "key", "new", "--classic", filepath.Join(p.dir, "identity", "identity"))
	must(t, "key", "new", "--classic", filepath.Join(p.dir, "identity", "night.key"), "--passphrase-file", filepath.Join(p.dir, "identity", "passphrase"))
	if err := os.Mkdir(filepath.Join(p.dir, "signing"), 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, "key", "new", "--signing", filepath.Join(p.dir, "signing", "sign.key"))
	p.trusted = filepath.Join(p.dir, "signing", "sign.key.pub")
	return p
}

func (p pretender) copy(t testing.TB, file string, to ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, string(text), to...)
}

func (p pretender) write(t testing.TB, text string, to ...string) {
	t.Helper()
	file := filepath.Join(append([]string{p.dir}, to...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// render renders a variant with a key that is there, and mounts its configuration, whose file it returns, too.
func (p pretender) render(t testing.TB, name, values string) (all []object, config string) {
	t.Helper()
	args := []string{"--values", values}
	if text, err := os.ReadFile(values); err != nil || strings.Contains(string(text), "trustedKeys:") {
		args = append(args, "--set-file", "trustedKeys="+p.trusted)
	}
	mounts := strings.NewReplacer("/etc/lifeboat/config", filepath.Join(p.dir, "config", name), "/etc/lifeboat", p.dir)
	all = rendered(t, args...)
	for _, o := range all {
		for file, text := range o.Data {
			p.write(t, mounts.Replace(text), "config", name, file)
		}
		for file, text := range o.StringData {
			p.write(t, mounts.Replace(text), "config", name, file)
		}
	}
	return all, filepath.Join(p.dir, "config", name, "lifeboat.yaml")
}

// TestLifeboatTakesWhatTheChartRenders gives the binary every variant's configuration to check, and it tells the same jobs that CronJobs are there for; and
// every pod's command line, which it knows.
func TestLifeboatTakesWhatTheChartRenders(t *testing.T) {
	t.Parallel()
	files := variants(t)
	files["fleet"] = fleet(t)
	p := newPretender(t)
	for name, values := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, config := p.render(t, name, values)
			var told struct {
				Jobs []struct{ Cluster, Job, Schedule, Timezone string }
			}
			if err := json.Unmarshal([]byte(must(t, "run", "--check", "--config", config, "-o", "json")), &told); err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, j := range told.Jobs {
				want = append(want, fmt.Sprintf("%s of %s: %s in %s", j.Job, j.Cluster, j.Schedule, j.Timezone))
			}
			for _, o := range ofKind(objects, "CronJob") {
				got = append(got, fmt.Sprintf("%s of %s: %s in %s", o.component(), o.Metadata.Labels["lifeboat/cluster"], o.Spec.Schedule, o.Spec.TimeZone))
			}
			slices.Sort(want)
			slices.Sort(got)
			if service := name == "service"; len(want) == 0 || service != (len(got) == 0) || !service && !slices.Equal(got, want) {
				t.Errorf("CronJobs:\n%s\nin the configuration:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			known := map[string]bool{}
			for _, o := range objects {
				if pod := o.pod(); pod != nil && !known[o.component()] {
					known[o.component()] = true
					must(t, append(slices.Clone(pod.Containers[0].Args), "--help")...) // flags before it are read, and one that is unknown or wrong is an error
				}
			}
		})
	}
}
