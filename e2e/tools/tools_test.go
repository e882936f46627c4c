package tools_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

func TestSimultaneousWishesGetOneBinaryThatRuns(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			file, err := tools.Path("age", "age-keygen")
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.Command(file, "-version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "v1.3") {
				t.Errorf("%s: %v: %s", file, err, out)
			}
		})
	}
	wg.Wait()
}

func TestUnknownToolIsAnError(t *testing.T) {
	for _, wish := range [][2]string{{"age", "nonsense"}, {"nonsense", "age"}, {tools.Debian, "nonsense"}} {
		if file, err := tools.Path(wish[0], wish[1]); err == nil {
			t.Errorf("%v is %s", wish, file)
		}
	}
	if dir, err := tools.Unpacked("nonsense"); err == nil {
		t.Errorf("nonsense of Debian is in %s", dir)
	}
}

func TestEveryServerIsThere(t *testing.T) {
	all, err := tools.All()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, tool := range all {
		have[tool[0]+" "+tool[1]] = true
	}
	for _, want := range []string{
		"etcd-3.5 etcd", "etcd-3.6 etcdutl", "etcd-3.7 etcdctl", "minio minio", "versitygw versitygw", "age age", "lint gofumpt", "helm helm", "kube kube-apiserver", "kube kubelet", "s5cmd s5cmd",
	} {
		if !have[want] {
			t.Errorf("%s is not among %v", want, all)
		}
	}
}

func TestRootHoldsTheModule(t *testing.T) {
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root + "/e2e/tools/tools_test.go"); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if other, err := tools.Root(); err == nil {
		t.Errorf("a folder outside of it gives %s", other)
	}
}
