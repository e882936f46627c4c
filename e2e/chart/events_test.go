package chart

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/internal/kubeevent"
)

// A variable is one of a container's environment.
type variable struct {
	Name, Value string
	ValueFrom   struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

// ours are the variables by which the program is told that Events are wanted, and what it is, each with where that comes from.
func ours(all []variable) map[string]string {
	told := map[string]string{}
	for _, v := range all {
		if strings.HasPrefix(v.Name, "LIFEBOAT_") && v.Name != "LIFEBOAT_CONFIG" { // which every pod has
			told[v.Name] = v.Value + v.ValueFrom.FieldRef.FieldPath
		}
	}
	return told
}

// TestOnlyWhoMakesEventsHasAToken where Events are wanted: the observer and doctor have nothing to do with the API server. Who makes them is told what it
// is by the names that the program reads, of the Job only where there is one.
func TestOnlyWhoMakesEventsHasAToken(t *testing.T) {
	t.Parallel()
	pod := map[string]string{"LIFEBOAT_KUBERNETES_EVENTS": "true", kubeevent.PodName: "metadata.name", kubeevent.PodUID: "metadata.uid"}
	job := maps.Clone(pod)
	job[kubeevent.JobName] = "metadata.labels['batch.kubernetes.io/job-name']"
	job[kubeevent.JobUID] = "metadata.labels['batch.kubernetes.io/controller-uid']"
	for variant, who := range map[string]string{"clusters": "backup cross-check prune verify", "service": "service", "minimal": ""} {
		with := map[string]bool{}
		for _, o := range rendered(t, "--values", variants(t)[variant]) {
			p := o.pod()
			if p == nil {
				continue
			}
			want := map[string]string{}
			if *p.AutomountToken {
				with[o.component()] = true
				want = map[string]map[string]string{"CronJob": job, "Deployment": pod}[o.Kind]
			}
			if told := ours(p.Containers[0].Env); !maps.Equal(told, want) {
				t.Errorf("%s of %s is told %v, want %v", o.component(), variant, told, want)
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(with)), " "); got != who {
			t.Errorf("of %s these have a token: %q", variant, got)
		}
	}
}

// TestTheChartDoesForEventsWhatTheirPageSays: the rights, and the variables of a Job's pod. The rights are for all who have a token, and nobody else.
func TestTheChartDoesForEventsWhatTheirPageSays(t *testing.T) {
	t.Parallel()
	blocks := blocksOf(t, "docs/kubernetes-events.md", "yaml")
	if len(blocks) != 2 {
		t.Fatalf("the page shows %d blocks of YAML", len(blocks))
	}
	var page struct{ Env []variable }
	if err := yaml.Unmarshal([]byte(blocks[1]), &page); err != nil {
		t.Fatal(err)
	}
	rules := func(all []object) any {
		t.Helper()
		roles := ofKind(all, "Role")
		if len(roles) != 1 || len(ofKind(all, "RoleBinding")) != 1 || len(roles[0].Rules) == 0 {
			t.Fatalf("there are %d Roles", len(roles))
		}
		return roles[0].Rules
	}
	want := rules(objectsIn(t, blocks[0]))
	for _, variant := range []string{"clusters", "service"} {
		all := rendered(t, "--values", variants(t)[variant])
		if got := rules(all); !reflect.DeepEqual(got, want) {
			t.Errorf("those of %s may do %v, the page says %v", variant, got, want)
		}
		accounts, bound := map[string]bool{}, map[string]bool{}
		for _, o := range all {
			p := o.pod()
			if p == nil || !*p.AutomountToken {
				continue
			}
			accounts[p.ServiceAccountName] = true
			if told := ours(p.Containers[0].Env); o.Kind == "CronJob" && !maps.Equal(told, ours(page.Env)) {
				t.Errorf("%s of %s is told %v, the page says %v", o.component(), variant, told, ours(page.Env))
			}
		}
		for _, s := range ofKind(all, "RoleBinding")[0].Subjects {
			bound[s.Name] = true
		}
		if !maps.Equal(accounts, bound) {
			t.Errorf("of %s these make Events: %v, and these may: %v", variant, accounts, bound)
		}
	}
}
