package e2e

import (
	"strings"
	"testing"
)

func TestKubernetesEventsOutsideOfAPodAreAMistake(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"backup", "verify", "rehearse", "prune", "run"} {
		r := lifeboatWith(t, []string{"KUBERNETES_SERVICE_HOST=", "LIFEBOAT_KUBERNETES_EVENTS=true"}, command, "--config", "absent.yaml").must(t, 2)
		for _, want := range []string{"--kubernetes-events: Kubernetes Events can only be made in a pod", "lifeboat: hint: leave --kubernetes-events out"} {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("%s does not say %q:\n%s", command, want, r.stderr)
			}
		}
	}
}
