//go:build node

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
)

// TestNodeEventsTellKubernetesHowAJobEnded runs each job with a real API server and the Role, the binding and the variables of the page about Events, and
// asks for what was made as kubectl describe does.
func TestNodeEventsTellKubernetesHowAJobEnded(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true})
	p := newPod(t, c.APIServer(t))
	k, sink := newKeys(t), "file://"+t.TempDir()
	backup := append([]string{"backup", "--recipients-file", k.recipients, "--sink", sink, "--cluster", "prod"}, etcdFlags(c)...)

	p.lifeboat(t, "allowed", backup...).must(t, 0)
	p.wants(t, "BackupCommitted", "Normal", "cluster prod: ", "in 1 of 1 sinks")
	p.lifeboat(t, "allowed", "backup", "--recipients-file", k.recipients, "--sink", sink, "--endpoints", "http://127.0.0.1:1").must(t, 4)
	p.wants(t, "BackupFailed", "Warning", "127.0.0.1:1", "; hint: ")
	p.lifeboat(t, "allowed", "verify", "--deep", "--sink", sink, "--identity", k.identity).must(t, 0)
	p.wants(t, "VerifyPassed", "Normal", "1 copies opened and whole")
	p.lifeboat(t, "allowed", "rehearse", "--members", "1", "--sink", sink, "--identity", k.identity).must(t, 0)
	p.wants(t, "RehearsalProven", "Normal", "recovered in ")
	p.lifeboat(t, "allowed", "prune", "--last", "3", "--apply", "--sink", sink).must(t, 0)
	p.wants(t, "PruneDone", "Normal", "0 backups removed")

	before := p.events(t, p.jobUID)
	refused := p.lifeboat(t, "forbidden", "verify", "--sink", sink).must(t, 0)
	for _, want := range []string{"lifeboat: warning: no Kubernetes Event could be made: the API server answers 403: ", "lifeboat: hint: a Role with verb create"} {
		if !strings.Contains(refused.stderr, want) {
			t.Errorf("without the right to make Events it does not say %q:\n%s", want, refused.stderr)
		}
	}
	if after := p.events(t, p.jobUID); len(after) != len(before) {
		t.Errorf("without the right to make Events there are %d, and were %d", len(after), len(before))
	}
	p.serves(t, c, k, sink)
}

// serves runs the service, which is of no Job, for its first backup.
func (p *pod) serves(t *testing.T, c *lab.Cluster, k keys, sink string) {
	config := filepath.Join(t.TempDir(), "lifeboat.yaml")
	text := fmt.Sprintf(`clusters:
  - {name: served, endpoints: [%q], tls: {ca: %q, cert: %q, key: %q}, sinks: [here], schedule: "@yearly"}
sinks: {here: {url: %q}}
encryption: {recipients-file: %q}
`, c.Endpoints()[0], c.CAFile, c.CertFile, c.KeyFile, sink, k.recipients)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.command(t, "allowed", "run", "--config", config)
	cmd.Env = append(cmd.Env, "LIFEBOAT_JOB_NAME=", "LIFEBOAT_JOB_UID=")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(2 * time.Minute); len(p.events(t, p.podUID)) == 0 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v\n%s", err, &log)
	}
	made := p.events(t, p.podUID)
	if len(made) != 1 {
		t.Fatalf("the service made %+v\n%s", made, &log)
	}
	if e := made[0]; e.Reason != "BackupCommitted" || !strings.HasPrefix(e.Message, "cluster served: ") || e.InvolvedObject.Kind != "Pod" {
		t.Errorf("the service's Event is %+v", e)
	}
}

// pod is what a container of a Job sees of Kubernetes, as the page about Events has it set up.
type pod struct {
	api                     *apiserver.Server
	env                     []string
	accounts                map[string]string // folders of service accounts
	podUID, jobName, jobUID string
	said                    string // by the last command, to stderr
}

func newPod(t *testing.T, api *apiserver.Server) *pod {
	t.Helper()
	blocks := yamlBlocks(t, "docs/kubernetes-events.md")
	if len(blocks) != 3 {
		t.Fatalf("the page has %d documents, want a Role, a RoleBinding and variables", len(blocks))
	}
	post(t, api, "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", blocks[0])
	post(t, api, "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", blocks[1])
	p := &pod{api: api, jobName: "lifeboat-backup-29402115", accounts: map[string]string{}}
	for account, name := range map[string]string{"allowed": "lifeboat", "forbidden": "other"} {
		post(t, api, "/api/v1/namespaces/default/serviceaccounts", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
		p.accounts[account] = accountFolder(t, api, name)
	}
	container := fmt.Sprintf(`{"serviceAccountName":"lifeboat","restartPolicy":"Never","containers":[{"name":"c","image":"i",%s]}`, strings.TrimPrefix(blocks[2], "{"))
	p.jobUID = made(t, api, "/apis/batch/v1/namespaces/default/jobs", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"template":{"spec":%s}}}`, p.jobName, container))
	p.podUID = made(t, api, "/api/v1/namespaces/default/pods", fmt.Sprintf(`{"metadata":{"name":"%s-x7k2p"},"spec":%s}`, p.jobName, container))
	at, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+at.Hostname(), "KUBERNETES_SERVICE_PORT="+at.Port(), "LIFEBOAT_KUBERNETES_EVENTS=true",
		"LIFEBOAT_POD_NAME="+p.jobName+"-x7k2p", "LIFEBOAT_POD_UID="+p.podUID, "LIFEBOAT_JOB_NAME="+p.jobName, "LIFEBOAT_JOB_UID="+p.jobUID,
		"HTTPS_PROXY=http://127.0.0.1:1") // which nothing may go through
	return p
}

// accountFolder is what Kubernetes mounts into a pod of a service account.
func accountFolder(t *testing.T, api *apiserver.Server, name string) string {
	t.Helper()
	var request struct{ Status struct{ Token string } }
	body, err := api.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/default/serviceaccounts/"+name+"/token", strings.NewReader(`{"spec":{"expirationSeconds":3600}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, text := range map[string]string{"token": request.Status.Token, "namespace": "default", "ca.crt": readFile(t, api.CAFile)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// made makes an object and returns its UID.
func made(t *testing.T, api *apiserver.Server, path, object string) string {
	t.Helper()
	body, err := api.Do(t.Context(), http.MethodPost, path, strings.NewReader(object))
	if err != nil {
		t.Fatalf("POST %s: %v\n%s", path, err, object)
	}
	defer body.Close()
	var answer struct{ Metadata struct{ UID string } }
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Metadata.UID
}

// command is lifeboat where /var/run/secrets is what a pod has there.
func (p *pod) command(t *testing.T, account string, args ...string) *exec.Cmd {
	t.Helper()
	const enter = `mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && cp -r "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", enter, p.accounts[account], filepath.Join(built, "lifeboat")}, args...)...)
	cmd.Env = p.env
	return cmd
}

func (p *pod) lifeboat(t *testing.T, account string, args ...string) ran {
	t.Helper()
	cmd := p.command(t, account, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run() // how it ended is the exit code
	p.said = errOut.String()
	return ran{cmd.ProcessState.ExitCode(), out.String(), p.said}
}

// event is one as kubectl describe reads it.
type event struct {
	Reason, Type, Message string
	InvolvedObject        struct{ Kind, Name string }
}

func (p *pod) events(t *testing.T, uid string) []event {
	t.Helper()
	var list struct{ Items []event }
	if err := p.api.Get(t.Context(), "/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid="+uid, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// wants one Event of this reason about the Job.
func (p *pod) wants(t *testing.T, reason, kind string, inMessage ...string) {
	t.Helper()
	n := 0
	for _, e := range p.events(t, p.jobUID) {
		if e.Reason != reason {
			continue
		}
		n++
		if e.Type != kind || e.InvolvedObject.Kind != "Job" || e.InvolvedObject.Name != p.jobName {
			t.Errorf("the Event is %+v", e)
		}
		for _, want := range inMessage {
			if !strings.Contains(e.Message, want) {
				t.Errorf("%s says %q, want %q in it", reason, e.Message, want)
			}
		}
	}
	if n != 1 {
		t.Fatalf("%d Events are called %s, of %+v\n%s", n, reason, p.events(t, p.jobUID), p.said)
	}
}

// yamlBlocks are the documents of a page's YAML blocks, as JSON.
func yamlBlocks(t *testing.T, page string) (documents []string) {
	t.Helper()
	for _, b := range blocks(t, page) {
		if b.lang != "yaml" {
			continue
		}
		for document := range strings.SplitSeq(b.text, "---\n") {
			var value map[string]any
			if err := yaml.Unmarshal([]byte(document), &value); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, string(text))
		}
	}
	return documents
}
