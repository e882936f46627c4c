package e2e

import (
	"strings"
	"testing"
)

func TestKubernetesEventsOutsideOfAPodAreAMistake(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"backup", "verify", "rehearse", "prune", "run"} {
		r := lifeboatWith(t, []string{"KUBERNETES_SERVICE_HOST=", "LIFEBOAT_KUBERNETES_EVENTS=true"}, command, "--config", "absent.yaml").must(t, 2)
		if !strings.Contains(r.stderr, "--kubernetes-events: Kubernetes Events can only be made in a pod") || !strings.Contains(r.stderr, "lifeboat: hint: leave --kubernetes-events out") {
			t.Errorf("%s says\n%s", command, r.stderr)
		}
	}
}
