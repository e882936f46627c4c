package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildLifeboat builds the binary under test, as the release is built, into a folder, and returns its path.
func BuildLifeboat(dir string) (string, error) {
	binary := filepath.Join(dir, "lifeboat")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "github.com/lifeboat-dr/lifeboat/cmd/lifeboat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building lifeboat: %w\n%s", err, out)
	}
	return binary, nil
}
