// Package tools provides the real servers and stock tools that tests run: each folder beside this file is a module that has
// some as Go tool dependencies, one module per server so that their dependencies never meet. What is asked for is built
// once into the repository's .cache folder; etcd 3.4 and zstd, which no module gives, come from there too, where
// e2e/tools/debian.sh unpacks them. Nothing is ever installed.
package tools

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

const repository = "module github.com/lifeboat-dr/lifeboat"

// Debian names, as a module for Path, the binaries of Debian packages.
const Debian = "debian"

// Kube names the module of Kubernetes' servers and kubectl, which are for tests with the build tag node only: they take minutes to build.
const Kube = "kube"

// S5cmd names the module of an S3 client that only the benchmark runs.
const S5cmd = "s5cmd"

// Root finds the repository's folder from the working directory, which for a test is its package's.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if f, err := os.Open(filepath.Join(dir, "go.mod")); err == nil {
			line, _ := bufio.NewReader(f).ReadString('\n')
			_ = f.Close()
			if strings.TrimSpace(line) == repository {
				return dir, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the working directory is not inside the lifeboat repository")
		}
	}
}

// All lists module and binary of everything that can be built.
func All() (list [][2]string, err error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	mods, err := filepath.Glob(filepath.Join(root, "e2e/tools/*/go.mod"))
	if err != nil {
		return nil, err
	}
	for _, mod := range mods {
		packages, err := toolPackages(filepath.Dir(mod))
		if err != nil {
			return nil, err
		}
		for _, pkg := range packages {
			list = append(list, [2]string{filepath.Base(filepath.Dir(mod)), binaryName(pkg)})
		}
	}
	return list, nil
}

// Path returns the path of a binary of a module under e2e/tools, which it builds first if that has not been done for the
// versions in its go.mod. Processes that want the same one at the same time wait for each other.
func Path(module, binary string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if module == Debian {
		file := filepath.Join(root, ".cache/debian/usr/bin", binary)
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%s of Debian is not in .cache (make debian gets it): %w", binary, err)
		}
		return file, nil
	}
	source := filepath.Join(root, "e2e/tools", module)
	version, err := fingerprint(source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache/tools", module+"-"+version)
	file := filepath.Join(dir, binary)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(file + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	return file, build(source, binary, file)
}

// Unpacked returns the folder into which e2e/tools/debian.sh has unpacked the packages of a group of their own, such as "node".
func Unpacked(group string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", Debian+"-"+group)
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		return "", fmt.Errorf("what Debian has for %s is not in .cache (make debian gets it): %w", group, err)
	}
	return dir, nil
}

func build(source, binary, file string) error {
	packages, err := toolPackages(source)
	if err != nil {
		return err
	}
	for _, pkg := range packages {
		if binaryName(pkg) != binary {
			continue
		}
		stamp, err := stampOf(source, pkg)
		if err != nil {
			return err
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", stamp, "-o", file+".new", pkg)
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s in %s: %w\n%s", pkg, source, err, out)
		}
		return os.Rename(file+".new", file)
	}
	return fmt.Errorf("no tool of %s builds to %s", source, binary)
}

// stampOf is what the linker has to be told so that a program of Kubernetes knows its version: the others have it in their source.
func stampOf(source, pkg string) (string, error) {
	const kubernetes = "k8s.io/kubernetes"
	if !strings.HasPrefix(pkg, kubernetes+"/") {
		return "", nil
	}
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}}", kubernetes)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("version of %s in %s: %w", kubernetes, source, err)
	}
	return "-X k8s.io/component-base/version.gitVersion=" + strings.TrimSpace(string(out)), nil
}

func toolPackages(source string) ([]string, error) {
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}}", "tool")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tools of %s: %w", source, err)
	}
	return strings.Fields(string(out)), nil
}

var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

// binaryName is how the binary of a main package is called by people: go.etcd.io/etcd/server/v3 is etcd.
func binaryName(pkg string) string {
	name := path.Base(majorVersion.ReplaceAllString(pkg, ""))
	if name == "server" {
		return "etcd"
	}
	return name
}

// fingerprint changes with every version that goes into a module's binaries.
func fingerprint(source string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		_, _ = h.Write(text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

// lock takes a file lock, which the kernel lets go when the process ends, however it does.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { _ = f.Close() }, nil
}
