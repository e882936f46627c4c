// Package chart tests the Helm chart: what it renders, what it refuses, and that the lifeboat binary and a real kube-apiserver take it.
package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// folder is the chart's in the repository, release and namespace are what the tests install it as.
const (
	folder    = "charts/lifeboat"
	release   = "lifeboat"
	namespace = "etcd-backup"
)

// The chart is rendered for the oldest Kubernetes that it takes, and for the newest.
const (
	oldestKube = "1.27.0"
	newestKube = "1.36.3"
)

func repository(t testing.TB) string {
	t.Helper()
	dir, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// helm runs helm, which finds nothing of the user's.
func helm(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), lab.Tool(t, "helm", "helm"), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, &errOut)
	}
	return out.String(), nil
}

// template renders the chart, or says why helm does not.
func template(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return helm(t, append([]string{"template", release, filepath.Join(repository(t), folder), "--namespace", namespace, "--kube-version", newestKube}, args...)...)
}

// rendered is what the chart renders, object by object.
func rendered(t testing.TB, args ...string) []object {
	t.Helper()
	text, err := template(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return objectsIn(t, text)
}

// variants are the files of values that come with the chart, by their names.
func variants(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository(t), folder, "ci/*-values.yaml"))
	if err != nil || len(files) < 6 {
		t.Fatalf("the chart's variants are %v, %v", files, err)
	}
	all := map[string]string{}
	for _, f := range files {
		all[strings.TrimSuffix(filepath.Base(f), "-values.yaml")] = f
	}
	return all
}

// An object is one of Kubernetes', as far as the tests look into it.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name, Namespace string
		Labels          map[string]string
		Annotations     map[string]string
	}
	Spec struct {
		Schedule    string
		TimeZone    string `yaml:"timeZone"`
		JobTemplate struct {
			Spec struct{ Template podTemplate }
		} `yaml:"jobTemplate"`
		Template podTemplate
		podSpec  `yaml:",inline"`
	}
	Data       map[string]string
	StringData map[string]string `yaml:"stringData"`
	Rules      []any
	Subjects   []struct{ Name string }

	text string
}

type podTemplate struct{ Spec podSpec }

type podSpec struct {
	Containers []struct {
		Args         []string
		Env          []variable
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	ServiceAccountName string `yaml:"serviceAccountName"`
	AutomountToken     *bool  `yaml:"automountServiceAccountToken"`
	ServiceLinks       *bool  `yaml:"enableServiceLinks"`
	HostNetwork        bool   `yaml:"hostNetwork"`
	Volumes            []volume
}

type volume struct {
	Name   string
	Secret struct {
		SecretName string `yaml:"secretName"`
	}
	HostPath struct{ Path string } `yaml:"hostPath"`
}

// pod is the spec of the object's pods; nil if it has none.
func (o object) pod() *podSpec {
	switch o.Kind {
	case "CronJob":
		return &o.Spec.JobTemplate.Spec.Template.Spec
	case "Deployment":
		return &o.Spec.Template.Spec
	case "Pod":
		return &o.Spec.podSpec
	}
	return nil
}

func (o object) component() string { return o.Metadata.Labels["app.kubernetes.io/component"] }

// secrets are the Secrets that pods of the spec mount.
func (p podSpec) secrets() (names []string) {
	for _, v := range p.Volumes {
		if v.Secret.SecretName != "" {
			names = append(names, v.Secret.SecretName)
		}
	}
	return names
}

func objectsIn(t testing.TB, text string) (all []object) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		var o object
		if err := node.Decode(&o); err != nil {
			t.Fatal(err)
		}
		raw, err := yaml.Marshal(&node)
		if err != nil {
			t.Fatal(err)
		}
		if o.text = string(raw); o.Kind != "" {
			all = append(all, o)
		}
	}
}

func ofKind(all []object, kind string) (some []object) {
	for _, o := range all {
		if o.Kind == kind {
			some = append(some, o)
		}
	}
	return some
}

// TestHelmFindsNothingWrongWithTheChart lints the chart, strictly, as it is and with every variant, and with everything for the oldest Kubernetes, too.
func TestHelmFindsNothingWrongWithTheChart(t *testing.T) {
	t.Parallel()
	files := variants(t)
	files["default"] = filepath.Join(repository(t), folder, "values.yaml")
	for name, file := range files {
		kubes := []string{newestKube}
		if name == "full" {
			kubes = append(kubes, oldestKube)
		}
		for _, kube := range kubes {
			t.Run(name+" "+kube, func(t *testing.T) {
				t.Parallel()
				if _, err := helm(t, "lint", "--strict", filepath.Join(repository(t), folder), "--values", file, "--kube-version", kube); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestTheChartRendersWhatIsWrittenDown compares with e2e/chart/testdata, where a change of the chart can be read. LIFEBOAT_UPDATE=1 writes it anew.
func TestTheChartRendersWhatIsWrittenDown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"minimal", "control-plane", "service"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := template(t, "--values", variants(t)[name])
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(repository(t), "e2e/chart/testdata", name+".yaml")
			if os.Getenv("LIFEBOAT_UPDATE") == "1" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the chart renders %s otherwise than %s says, first in line %d; if that was meant: LIFEBOAT_UPDATE=1 go test -run %s ./e2e/chart, and read the difference",
					name, file, differsAt(got, string(want)), t.Name())
			}
		})
	}
}

// differsAt is the number of the first line that is different.
func differsAt(a, b string) int {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i + 1
		}
	}
	return min(len(x), len(y)) + 1
}

// TestAnOlderKubernetesIsRefused because its CronJobs have no time zones.
func TestAnOlderKubernetesIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := template(t, "--values", variants(t)["minimal"], "--kube-version", "1.26.9"); err == nil || !strings.Contains(err.Error(), ">=1.27") {
		t.Errorf("Kubernetes 1.26: %v", err)
	}
}
