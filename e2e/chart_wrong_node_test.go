//go:build node

package e2e

import (
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
)

// installWrong installs releases with values that no schema can find wrong, and has each try a backup.
func (c *chart) installWrong(t *testing.T) {
	t.Helper()
	mistyped := strings.TrimSpace(readFile(t, c.keys.recipients))
	last := map[bool]string{true: "p", false: "q"}[strings.HasSuffix(mistyped, "q")]
	for release, flags := range map[string][]string{
		"recipient": {"--set-string=recipient=" + mistyped[:len(mistyped)-1] + last},
		"endpoint":  {"--set=endpoints={https://" + node.Address + ":9}", "--set=backup.backoffLimit=0"},
		"secret":    {"--set=etcdTLS.secretName=not-there"},
	} {
		c.install(t, release, append(flags, "--set=suspend=true", "--set=observe.enabled=false")...) // nothing of it happens by itself
		c.byHand(t, release+"-lifeboat-backup")
	}
}

// wrongValues wants the reason where a person looks for it: in the log of the Job, and in the events.
func (c *chart) wrongValues(t *testing.T) {
	t.Run("a wrong recipient", func(t *testing.T) {
		c.failsFor(t, "recipient-lifeboat-backup-by-hand", 2, "recipient", "PodFailurePolicy: ", "BackupFailed: ")
	})
	t.Run("an endpoint that nobody listens at", func(t *testing.T) {
		c.failsFor(t, "endpoint-lifeboat-backup-by-hand", 4, node.Address+":9", "BackoffLimitExceeded: ", "BackupFailed: ")
	})
	t.Run("a Secret that is not there", func(t *testing.T) {
		said := ""
		eventually(t, "the kubelet tells of the Secret", func() bool {
			for _, pod := range c.list(t, "pods", "--selector=job-name=secret-lifeboat-backup-by-hand") {
				said = c.events(t, pod.Metadata.Name)
			}
			return strings.Contains(said, "FailedMount") && strings.Contains(said, `"not-there" not found`)
		})
	})
	for _, release := range []string{"recipient", "endpoint", "secret"} {
		c.helm(t, "uninstall", release)
	}
}

// failsFor wants a Job to fail with an exit code after one attempt, and the reason in its log, its pod and its events.
func (c *chart) failsFor(t *testing.T, job string, code int, reason string, kinds ...string) {
	t.Helper()
	how, why, pod := c.ends(t, job)
	log, events := c.kubectl(t, "logs", pod.Metadata.Name), c.events(t, job)
	if how != "Failed" || !strings.Contains(log, reason) || !strings.Contains(events, reason) {
		t.Errorf("%s: %s; %q is missing in its log or in its events:\n%s\n%s", how, why, reason, log, events)
	}
	for _, want := range kinds {
		if !strings.Contains(events, want) {
			t.Errorf("there is no event %s among\n%s", want, events)
		}
	}
	if n := len(c.list(t, "pods", "--selector=job-name="+job)); n != 1 {
		t.Errorf("%d attempts", n)
	}
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != code || !strings.Contains(ended.Message, reason) {
		t.Errorf("the container ended as %+v, want exit code %d and %q", ended, code, reason)
	}
}
