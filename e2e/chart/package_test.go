package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestMakeChartNamesTheImageOfMakeImage for a release, for what comes after one, and for a commit, whose name is no version of a chart.
func TestMakeChartNamesTheImageOfMakeImage(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	for version, file := range map[string]string{
		"v1.2.3":                             "lifeboat-1.2.3.tgz",
		"012345678901":                       "lifeboat-0.0.0-g012345678901.tgz",
		"v1.2.3-rc.1-70-g0123456789ab-dirty": "lifeboat-1.2.3-rc.1-70-g0123456789ab-dirty.tgz",
	} {
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", repository(t), "chart", "DIST="+dist, "VERSION="+version, "HELM="+lab.Tool(t, "helm", "helm"))
		cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") })
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make chart VERSION=%s: %v\n%s", version, err, out)
		}
		text, err := helm(t, append([]string{"template", release, filepath.Join(dist, file), "--kube-version", newestKube}, three...)...)
		if err != nil {
			t.Fatal(err)
		}
		if image := "image: \"ghcr.io/lifeboat-dr/lifeboat:" + version + "\"\n"; !strings.Contains(text, image) {
			t.Errorf("%s does not install %s", file, image)
		}
	}
}
