//go:build node

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

const (
	// builtImage is the variable that tells the enclosed test where the image is.
	builtImage = "LIFEBOAT_TEST_IMAGE"
	imageTag   = "under-test"
	// patience is for what happens by itself: a CronJob at its minute, a pod, a retry.
	patience = 4 * time.Minute
)

// buildImage has make image build it, before the test is enclosed where there is no network.
func buildImage(t *testing.T) {
	t.Helper()
	if os.Getenv(builtImage) != "" {
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "image", "DIST="+dir, "VERSION="+imageTag, "PLATFORMS=linux/"+runtime.GOARCH)
	cmd.Dir = repository(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv(builtImage, filepath.Join(dir, "lifeboat-image.tar"))
}

func (c *chart) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	said, err := c.n.Kubectl(t.Context(), append([]string{"--namespace=" + c.namespace}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func (c *chart) helm(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lab.Tool(t, "helm", "helm"), append([]string{"--namespace=" + c.namespace}, args...)...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.n.Kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// install installs a release, with the values of every release and further flags.
func (c *chart) install(t *testing.T, release string, flags ...string) {
	t.Helper()
	c.helm(t, append([]string{"upgrade", "--install", release, filepath.Join(repository(t), "charts", "lifeboat"), "--values=" + c.values}, flags...)...)
}

// byHand makes a Job of a CronJob now, as a person does, and returns its name.
func (c *chart) byHand(t *testing.T, cronJob string) (job string) {
	t.Helper()
	job = cronJob + "-by-hand"
	c.kubectl(t, "create", "job", "--from=cronjob/"+cronJob, job)
	return job
}

// An owned is what is read of Jobs and pods.
type owned struct {
	Metadata struct {
		Name            string
		OwnerReferences []struct{ Name string }
	}
	Status struct {
		Phase, PodIP string
		Active       int
		Conditions   []struct{ Type, Status, Reason, Message string }

		ContainerStatuses []struct {
			ContainerID string
			Ready       bool
			State       struct {
				Running    *struct{}
				Terminated *struct {
					ExitCode        int
					Reason, Message string
				}
			}
		}
	}
}

// list asks for objects of a kind.
func (c *chart) list(t *testing.T, kind string, flags ...string) []owned {
	t.Helper()
	var list struct{ Items []owned }
	decode(t, c.kubectl(t, append([]string{"get", kind, "--output=json"}, flags...)...), &list)
	return list.Items
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// fired waits for the first Job that a CronJob makes by itself.
func (c *chart) fired(t *testing.T, cronJob string) (job string) {
	t.Helper()
	eventually(t, "the CronJob "+cronJob+" fires", func() bool {
		for _, j := range c.list(t, "jobs") {
			for _, owner := range j.Metadata.OwnerReferences {
				if owner.Name == cronJob {
					job = j.Metadata.Name
				}
			}
		}
		return job != ""
	})
	return job
}

// idle waits until no Job of a CronJob is running.
func (c *chart) idle(t *testing.T, cronJob string) {
	t.Helper()
	eventually(t, "no Job of "+cronJob+" runs", func() bool {
		return c.kubectl(t, "get", "cronjob", cronJob, "--output=jsonpath={.status.active}") == ""
	})
}

// ends waits for the end of a Job, and returns the condition that says how it ended and its last pod.
func (c *chart) ends(t *testing.T, job string) (how, why string, pod owned) {
	t.Helper()
	eventually(t, "the Job "+job+" ends", func() bool {
		var j owned
		decode(t, c.kubectl(t, "get", "job", job, "--output=json"), &j)
		for _, condition := range j.Status.Conditions {
			if condition.Status == "True" && (condition.Type == "Complete" || condition.Type == "Failed") {
				how, why = condition.Type, condition.Reason+": "+condition.Message
			}
		}
		return how != ""
	})
	pods := c.list(t, "pods", "--selector=job-name="+job)
	if len(pods) == 0 {
		t.Fatalf("%s has no pod", job)
	}
	return how, why, pods[len(pods)-1]
}

// succeeds wants a Job to do its work, and returns what it said.
func (c *chart) succeeds(t *testing.T, job string) (log string) {
	t.Helper()
	how, why, pod := c.ends(t, job)
	log = c.kubectl(t, "logs", pod.Metadata.Name)
	if how != "Complete" {
		t.Fatalf("%s: %s: %s\n%s", job, how, why, log)
	}
	return log
}

// events are the messages of warnings about an object.
func (c *chart) events(t *testing.T, object string) string {
	t.Helper()
	return c.kubectl(t, "get", "events", "--field-selector=type=Warning,involvedObject.name="+object,
		"--output=jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}")
}
