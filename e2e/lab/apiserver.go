package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// StartAPIServer starts a kube-apiserver on an etcd given by client URLs, and returns when it is ready. It ends with the test, or earlier by
// Stop, which has to come before its etcd ends. It takes minutes to build, so only tests with the build tag node may use it.
func StartAPIServer(t testing.TB, etcd []string, tls pki.Pair, args ...string) *apiserver.Server {
	t.Helper()
	ports := FreePorts(t, 1)
	a, err := apiserver.Start(context.Background(), apiserver.Spec{ // it ends with the test, by Cleanup, and not before its other cleanups
		Binary: Tool(t, tools.Kube, "kube-apiserver"), Dir: filepath.Join(Dir(t), "kube-apiserver"),
		URL: fmt.Sprintf("https://127.0.0.1:%d", ports[0]), Etcd: etcd, TLS: tls, Args: args,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	if err := a.Ready(t.Context(), 2*ready); err != nil {
		t.Fatal(err)
	}
	return a
}

// APIServer starts a kube-apiserver on the cluster.
func (c *Cluster) APIServer(t testing.TB, args ...string) *apiserver.Server {
	t.Helper()
	return StartAPIServer(t, c.Endpoints(), pki.Pair{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}, args...)
}
