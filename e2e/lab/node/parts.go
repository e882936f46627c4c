package node

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

var (
	//go:embed containerd.toml
	containerdConfig string
	//go:embed kubelet.yaml
	kubeletConfig string
	//go:embed ptp.conflist
	networkConfig string
)

// credentials makes one authority for everything, what it signs, and the kubeconfig.
func (n *Node) credentials() (err error) {
	if n.CA, err = pki.NewCA(in("pki"), "lab"); err != nil {
		return err
	}
	year := time.Now().AddDate(1, 0, 0)
	server := pki.Options{
		Hosts:  []string{"127.0.0.1", Address, service, "localhost", "kubernetes.default.svc"},
		Server: true, Client: true, NotAfter: year, // etcd calls itself with it
	}
	if _, err = n.CA.Issue("server", server); err != nil {
		return err
	}
	if n.Client, err = n.CA.Issue("client", pki.Options{Client: true, NotAfter: year}); err != nil {
		return err
	}
	if _, err = n.CA.Issue("service-accounts", pki.Options{}); err != nil {
		return err
	}
	kubeconfig := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "lab",
"clusters": [{"name": "lab", "cluster": {"server": %q, "certificate-authority": %q}}],
"users": [{"name": "admin", "user": {"token": %q}}],
"contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}]}
`, URL, in("pki/ca.crt"), token)
	return errors.Join(
		os.WriteFile(n.Kubeconfig, []byte(kubeconfig), 0o600),
		os.WriteFile(in("tokens.csv"), []byte(token+",admin,admin,system:masters\n"), 0o600),
	)
}

func in(name string) string { return filepath.Join(dir, name) }

// configure writes what the parts read.
func configure(debian string) error {
	fill := strings.NewReplacer("@DIR@", dir, "@DEBIAN@", debian, "@ADDRESS@", Address, "@PAUSE@", pause)
	return errors.Join(
		os.MkdirAll(in("cni"), 0o755),
		os.WriteFile(in("cni/10-ptp.conflist"), []byte(fill.Replace(networkConfig)), 0o644),
		os.WriteFile(in("containerd.toml"), []byte(fill.Replace(containerdConfig)), 0o644),
		os.WriteFile(in("kubelet.yaml"), []byte(fill.Replace(kubeletConfig)), 0o644),
	)
}

func (n *Node) startEtcd(context.Context, string) error {
	binary, err := tools.Path("etcd-3.6", "etcd")
	if err != nil {
		return err
	}
	const peer = "http://127.0.0.1:2380"
	return n.run("etcd", binary, "--name="+Name, "--data-dir="+in("etcd"), "--listen-client-urls="+Etcd+",https://127.0.0.1:2379", "--advertise-client-urls="+Etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster="+Name+"="+peer,
		"--cert-file="+in("pki/server.crt"), "--key-file="+in("pki/server.key"), "--trusted-ca-file="+in("pki/ca.crt"), "--client-cert-auth")
}

func (n *Node) startContainerd(ctx context.Context, debian string) error {
	// It looks for its shim in PATH.
	path := strings.Join([]string{filepath.Join(debian, "usr/bin"), filepath.Join(debian, "usr/sbin"), os.Getenv("PATH")}, string(os.PathListSeparator))
	if err := n.run("containerd", "/usr/bin/env", "PATH="+path, filepath.Join(debian, "usr/bin/containerd"), "--config="+in("containerd.toml")); err != nil {
		return err
	}
	if err := pauseImage(ctx, in("pause.tar")); err != nil {
		return err
	}
	return n.await(ctx, "containerd", func(ctx context.Context) error { return n.Import(ctx, in("pause.tar")) })
}

func (n *Node) startAPIServer(ctx context.Context, _ string) error {
	err := n.kube("kube-apiserver", "--etcd-servers="+Etcd,
		"--etcd-cafile="+n.Client.CA, "--etcd-certfile="+n.Client.Cert, "--etcd-keyfile="+n.Client.Key,
		"--bind-address=0.0.0.0", "--advertise-address="+Address, "--secure-port=443", "--service-cluster-ip-range="+Services,
		"--tls-cert-file="+in("pki/server.crt"), "--tls-private-key-file="+in("pki/server.key"), "--cert-dir="+in("certificates"),
		"--token-auth-file="+in("tokens.csv"), "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+in("pki/service-accounts.crt"),
		"--service-account-signing-key-file="+in("pki/service-accounts.key"), "--client-ca-file="+in("pki/ca.crt"),
		"--kubelet-client-certificate="+n.Client.Cert, "--kubelet-client-key="+n.Client.Key, "--kubelet-preferred-address-types=InternalIP")
	if err != nil {
		return err
	}
	return n.await(ctx, "kube-apiserver", func(ctx context.Context) error {
		_, err := n.Kubectl(ctx, "get", "--raw=/readyz")
		return err
	})
}

func (n *Node) startControllers(context.Context, string) error {
	same := []string{
		"--kubeconfig=" + n.Kubeconfig, "--authentication-kubeconfig=" + n.Kubeconfig, "--authorization-kubeconfig=" + n.Kubeconfig,
		"--bind-address=127.0.0.1", "--cert-dir=" + in("certificates"), "--leader-elect=false",
	}
	return errors.Join(
		n.kube("kube-controller-manager", append([]string{
			"--service-account-private-key-file=" + in("pki/service-accounts.key"), "--root-ca-file=" + in("pki/ca.crt"),
		}, same...)...),
		n.kube("kube-scheduler", same...),
	)
}

func (n *Node) startKubelet(ctx context.Context, _ string) error {
	if err := n.kube("kubelet", "--config="+in("kubelet.yaml"), "--kubeconfig="+n.Kubeconfig, "--hostname-override="+Name,
		"--node-ip="+Address, "--root-dir="+in("kubelet"), "--cert-dir="+in("certificates")); err != nil {
		return err
	}
	return n.await(ctx, "the node", func(ctx context.Context) error {
		_, err := n.Kubectl(ctx, "wait", "--for=condition=Ready", "node/"+Name, "--timeout=1s")
		return err
	})
}
