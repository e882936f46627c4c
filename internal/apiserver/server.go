// Package apiserver runs a kube-apiserver as a child process on loopback and asks it over HTTPS: for a rehearsal, which wants to
// know whether it can read what was restored, and for the tests.
//
// The server is a reader of a throwaway etcd and must stay one: it gets an authority and a token made for it alone, it calls no
// admission webhook, and what it would send to nodes, pods or services of the cluster whose data it has goes nowhere. The
// package knows no Kubernetes object beyond a list's outer shape, and uses no library of Kubernetes.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// versionTimeout bounds `--version`, which does nothing but print; a binary of 150 MB may have to come from a slow disk first.
const versionTimeout = 30 * time.Second

// A Spec says how to run a server. Everything but Args is required.
type Spec struct {
	Binary string
	Dir    string   // for its keys and its log, made if it is not there
	URL    string   // where it listens: https://127.0.0.1:PORT; others may hold the port, if they share it
	Etcd   []string // client URLs
	TLS    pki.Pair // what etcd wants to see of a client; the zero value means plaintext
	Args   []string // further flags, after our own
}

// ours are flags that Spec decides. Given once more, the server would read another database, not be found, or reach what it must not.
var ours = []string{
	"etcd-servers", "etcd-servers-overrides", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-prefix", "bind-address", "advertise-address",
	"secure-port", "permit-port-sharing", "tls-cert-file", "tls-private-key-file", "token-auth-file", "endpoint-reconciler-type",
	"egress-selector-config-file",
}

var versionLine = regexp.MustCompile(`(?m)^Kubernetes (v\S+)`)

// Version asks a binary for its version, with the further flags it will get: it reads them all before it prints, so that
// a misspelt one is found at once.
func Version(ctx context.Context, binary string, args []string) (string, error) {
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name = strings.ReplaceAll(name, "_", "-") // it takes both
		if slices.Contains(ours, name) {
			return "", fmt.Errorf("--%s is not for you to choose: the server has to run on the throwaway cluster, and apart from everything else", name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--version"}, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		if said := lastWords(out); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return "", err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		line, _, _ := strings.Cut(string(out), "\n")
		return "", fmt.Errorf("it does not say its version as kube-apiserver does, but %q", line)
	}
	return string(m[1]), nil
}

// A Server is a running kube-apiserver, or one that has ended.
type Server struct {
	URL    string
	Token  string // of a member of system:masters
	CAFile string // authority of its certificate
	Log    string // file

	client *http.Client
	cmd    *exec.Cmd
	asked  sync.Once
	wanted chan struct{} // closed once somebody here asked for the end
	done   chan struct{}
	err    error // why it ended, readable after done
}

// Start starts a server and returns at once: see Await. Cancelling ctx kills it, and so does the death of this process.
func Start(ctx context.Context, s Spec) (*Server, error) {
	a := &Server{URL: s.URL, Log: filepath.Join(s.Dir, "kube-apiserver.log"), wanted: make(chan struct{}), done: make(chan struct{})}
	at, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	k, err := newCredentials(s.Dir, at.Hostname())
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	a.Token, a.CAFile, a.client = k.token, k.serving.CA, k.client
	log, err := os.OpenFile(a.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver: log: %w", err)
	}
	defer log.Close() // the child has its own descriptor
	a.cmd = exec.CommandContext(ctx, s.Binary, slices.Concat(s.flags(at), k.flags(), s.Args)...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	exit, err := child.Start(a.cmd)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	go func() {
		a.err = a.reason(<-exit)
		close(a.done)
	}()
	return a, nil
}

func (s Spec) flags(at *url.URL) []string {
	flags := []string{
		"--etcd-servers=" + strings.Join(s.Etcd, ","),
		"--bind-address=" + at.Hostname(),
		"--advertise-address=" + at.Hostname(),
		"--secure-port=" + at.Port(),
		"--permit-port-sharing=true",
		"--authorization-mode=Node,RBAC",
		// It must not enter its own address into what the cluster's clients believe, nor wait for others that it finds there.
		"--endpoint-reconciler-type=none",
		"--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
		"--profiling=false",
	}
	if s.TLS != (pki.Pair{}) {
		flags = append(flags, "--etcd-cafile="+s.TLS.CA, "--etcd-certfile="+s.TLS.Cert, "--etcd-keyfile="+s.TLS.Key)
	}
	return flags
}

// Stop kills the server and returns when it is gone: it has nothing to lose. It must be stopped before its etcd, without which it
// hangs. Stopping one that has ended is no error.
func (a *Server) Stop() error {
	a.asked.Do(func() {
		select {
		case <-a.done: // its end came first and keeps its reason
		default:
			close(a.wanted)
		}
	})
	if err := a.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	<-a.done
	a.client.CloseIdleConnections()
	return nil
}

// Err says why the server ended although nobody stopped it, in its own last words; nil while it runs.
func (a *Server) Err() error {
	select {
	case <-a.done:
		return a.err
	default:
		return nil
	}
}

func (a *Server) reason(exit error) error {
	select {
	case <-a.wanted:
		return nil
	default:
	}
	how := "it ended by itself"
	if exit != nil {
		how = exit.Error()
	}
	if said := lastWords(a.tail()); said != "" {
		how += ": " + said
	}
	return &DownError{how}
}
