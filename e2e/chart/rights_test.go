package chart

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryPodHasOnlyWhatItsRoleNeeds looks at which Secrets and which account the pods of the variant with everything have. Its configuration is
// one, because there is a heartbeat in it.
func TestEveryPodHasOnlyWhatItsRoleNeeds(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, o := range rendered(t, "--values", variants(t)["full"]) {
		if pod := o.pod(); pod != nil {
			secrets := pod.secrets()
			slices.Sort(secrets)
			got[o.component()] = strings.TrimPrefix(pod.ServiceAccountName, release+"-") + ": " + strings.Join(secrets, " ")
			if pod.AutomountToken == nil || *pod.AutomountToken || pod.ServiceLinks == nil || *pod.ServiceLinks || pod.HostNetwork {
				t.Errorf("%s gets a token, the addresses of Services or the node's network", o.component())
			}
		}
	}
	for component, want := range map[string]string{
		"backup":      "writer: etcd-client etcd-root lifeboat-config second-site signing writer",
		"cross-check": "verifier: etcd-client etcd-root lifeboat-config second-site signing verifier",
		"verify":      "verifier: identity lifeboat-config second-site signing verifier",
		"rehearse":    "verifier: identity lifeboat-config second-site signing verifier",
		"prune":       "pruner: lifeboat-config pruner second-site",
		"doctor":      "observer: etcd-client etcd-root lifeboat-config observer second-site",
		"observe":     "observer: lifeboat-config observer second-site",
	} {
		if got[component] != want {
			t.Errorf("%s is\n%q, want\n%q", component, got[component], want)
		}
	}
}

// TestAClustersPodsHaveOnlyItsOwnSecrets where there are several clusters.
func TestAClustersPodsHaveOnlyItsOwnSecrets(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, o := range rendered(t, "--values", variants(t)["clusters"]) {
		pod, cluster := o.pod(), o.Metadata.Labels["lifeboat/cluster"]
		if pod == nil {
			continue
		}
		for _, s := range pod.secrets() {
			seen++
			if s != cluster+"-etcd-client" {
				t.Errorf("%s of %s has %s", o.component(), cluster, s)
			}
		}
	}
	if seen == 0 {
		t.Error("nobody has a certificate")
	}
}

// TestOnlyWhatTalksToEtcdRunsOnTheControlPlane, as root and in the node's network; everything else is as restricted as ever.
func TestOnlyWhatTalksToEtcdRunsOnTheControlPlane(t *testing.T) {
	t.Parallel()
	talks := map[string]bool{"backup": true, "cross-check": true, "doctor": true}
	pods := 0
	for _, o := range rendered(t, "--values", variants(t)["control-plane"]) {
		pod := o.pod()
		if pod == nil {
			continue
		}
		pods++
		there := pod.HostNetwork && strings.Contains(o.text, "runAsUser: 0") && strings.Contains(o.text, "node-role.kubernetes.io/control-plane: \"\"") &&
			slices.ContainsFunc(pod.Volumes, func(v volume) bool { return v.HostPath.Path == "/etc/kubernetes/pki/etcd" })
		restricted := !pod.HostNetwork && strings.Contains(o.text, "runAsNonRoot: true") && !strings.Contains(o.text, "hostPath")
		if talks[o.component()] && !there || !talks[o.component()] && !restricted {
			t.Errorf("%s is\n%s", o.component(), o.text)
		}
	}
	if pods != 6 {
		t.Errorf("%d pods", pods)
	}
}
