// Package kubeevent makes Kubernetes Events about the Job or the Pod that this process runs in.
//
// It refuses to read anything from the API server: what an Event is about, the pod is told by the downward API, so that its service account
// needs to be allowed nothing but to create Events. It is one request and its answer, for which it uses no library of Kubernetes: client-go brings
// far more into a binary than that.
package kubeevent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Account is the folder in which Kubernetes gives a pod its service account.
const Account = "/var/run/secrets/kubernetes.io/serviceaccount"

// The variables that a pod gets by the downward API. Those of the Job are empty in a pod that has none.
const (
	PodName = "LIFEBOAT_POD_NAME" // metadata.name
	PodUID  = "LIFEBOAT_POD_UID"  // metadata.uid
	JobName = "LIFEBOAT_JOB_NAME" // metadata.labels['batch.kubernetes.io/job-name']
	JobUID  = "LIFEBOAT_JOB_UID"  // metadata.labels['batch.kubernetes.io/controller-uid']
)

// A Pod is where this process runs.
type Pod struct {
	server    string // https://HOST:PORT
	account   string
	namespace string
	pod, job  reference // job is empty if there is none
}

// reference names an object in the way of Kubernetes.
type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"`
}

// NotInPodError says what is missing where a process does not run in a pod, or in one that is not told who it is.
type NotInPodError struct{ missing, hint string }

func (e *NotInPodError) Error() string { return e.missing }

// Hint says what to do about it.
func (e *NotInPodError) Hint() string { return e.hint }

// Here finds out about the pod that this process runs in, from its variables and the folder of its service account.
func Here(lookup func(string) (string, bool), account string) (*Pod, error) {
	get := func(name string) string { value, _ := lookup(name); return value }
	host, port := get("KUBERNETES_SERVICE_HOST"), get("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, &NotInPodError{
			"Kubernetes Events can only be made in a pod, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set",
			"leave --kubernetes-events out where this is no pod",
		}
	}
	if get(PodName) == "" {
		return nil, &NotInPodError{
			PodName + " is not set, so nobody knows what a Kubernetes Event would be about",
			"set it in the pod's manifest by `fieldRef: {fieldPath: metadata.name}`; docs/kubernetes-events.md has the whole of it",
		}
	}
	namespace, err := os.ReadFile(filepath.Join(account, "namespace"))
	if err != nil {
		return nil, &NotInPodError{
			fmt.Sprintf("the pod has no service account: %v", err),
			"give it one that may create Events, and no `automountServiceAccountToken: false`; docs/kubernetes-events.md has the whole of it",
		}
	}
	p := &Pod{server: "https://" + net.JoinHostPort(host, port), account: account, namespace: strings.TrimSpace(string(namespace))}
	p.pod = reference{"v1", "Pod", p.namespace, get(PodName), get(PodUID)}
	if get(JobName) != "" {
		p.job = reference{"batch/v1", "Job", p.namespace, get(JobName), get(JobUID)}
	}
	return p, nil
}

// client trusts the authority of the cluster alone, and goes through no proxy: those are for the world outside. It follows no redirection, which could
// take the token elsewhere.
func (p *Pod) client() (*http.Client, error) {
	file := filepath.Join(p.account, "ca.crt")
	authority, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
