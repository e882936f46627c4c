package runbook

// The files that start etcd when it was stopped as the runbook says.
const (
	KubeadmFile = "/etc/kubernetes/stopped/etcd.yaml"
	SystemdFile = "/etc/systemd/system/etcd.service"
)

const pki = "/etc/kubernetes/pki/etcd/"

// kubeadm: etcd and the API servers are static pods, which run while their manifests lie in a folder.
func (f Facts) kubeadm() (steps, back []Step) {
	const manifests, stopped = "/etc/kubernetes/manifests/", "/etc/kubernetes/stopped/"
	stop := []Step{{
		Title: "Stop every API server, and what talks to it", On: f.names(),
		Commands: []string{
			"mkdir -p " + stopped,
			"mv " + manifests + "kube-apiserver.yaml " + manifests + "kube-controller-manager.yaml " + manifests + "kube-scheduler.yaml " + stopped,
			"crictl ps --name kube-apiserver",
		},
		Until: "Repeat the last command until it lists none, on every node: one API server left running spoils all that follows.",
	}, {
		Title: "Stop etcd", On: f.names(),
		Commands: []string{"mv " + manifests + "etcd.yaml " + stopped, "crictl ps --name etcd"},
		Until:    "Repeat the last command until it lists none.",
	}}
	start := []Step{{
		Title: "Start etcd", On: f.names(), Commands: []string{"mv " + stopped + "etcd.yaml " + manifests},
		Until: "etcd.yaml needs no change while name, addresses and data directory stay.",
	}, f.check(pki+"ca.crt", pki+"healthcheck-client.crt", pki+"healthcheck-client.key"), {
		Title: "Start the API servers", On: f.names(),
		Commands: []string{"mv " + stopped + "kube-apiserver.yaml " + manifests, "kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz"},
		Until:    "One node first; the others when it answers ok and `kubectl get nodes` shows what it should.",
	}, {
		Title: "Start the controllers and schedulers", On: f.names(),
		Commands: []string{"mv " + stopped + "kube-controller-manager.yaml " + stopped + "kube-scheduler.yaml " + manifests},
	}}
	steps = append(append(append(stop, f.make()...), start...), forget("its kubelet", "systemctl restart kubelet"), adopt())
	return steps, f.backwards(stop, start)
}

// systemd: etcd is a service, and the API servers are whatever runs them.
func (f Facts) systemd() (steps, back []Step) {
	stop := []Step{{
		Title: "Stop every API server, and what talks to it", On: f.names(),
		Commands: []string{"systemctl stop kube-apiserver kube-controller-manager kube-scheduler"},
		Until:    "Where they are static pods, move their manifests out of /etc/kubernetes/manifests; without Kubernetes, stop every client. One that is left running spoils all that follows.",
	}, {
		Title: "Stop etcd", On: f.names(), Commands: []string{"systemctl stop etcd"},
	}}
	waits := ""
	if len(f.Members) > 1 {
		waits = "The first waits for the second: --no-block lets the command return."
	}
	start := []Step{{
		Title: "Start etcd", On: f.names(), Commands: []string{"systemctl start etcd --no-block"},
		Until: waits,
	}, f.check("CA-FILE", "CERT-FILE", "KEY-FILE"), {
		Title: "Start the API servers", On: f.names(), Commands: []string{"systemctl start kube-apiserver"},
		Until: "One node first; the others when `kubectl get nodes` shows what it should.",
	}, {
		Title: "Start the controllers and schedulers", On: f.names(), Commands: []string{"systemctl start kube-controller-manager kube-scheduler"},
	}}
	if f.TLS {
		start[1].Until += " CA-FILE, CERT-FILE and KEY-FILE are those of --trusted-ca-file, --cert-file and --key-file in the unit."
	}
	steps = append(append(append(stop, f.make()...), start...), forget("its kubelet", "systemctl restart kubelet"), adopt())
	return steps, f.backwards(stop, start)
}

// backwards stops everything again, puts the old directories back, and starts everything.
func (f Facts) backwards(stop, start []Step) []Step {
	back := append(append(stop[:len(stop):len(stop)], f.putBack()), start...)
	back[len(stop)+2].Until = "Every member is healthy, one is leader, and all show the same hash and revision: those from before the restore."
	return back
}

// putBack is what --move-aside makes possible.
func (f Facts) putBack() Step {
	return Step{
		Title: "Put the old directories back", On: f.names(),
		Commands: []string{"mv " + f.DataDir + " " + f.DataDir + ".restored", "mv " + f.DataDir + ".before-" + f.Backup + " " + f.DataDir},
		Until:    "The restore printed where the old directory is, should it be elsewhere. All nodes or none: old and restored members do not form a cluster.",
	}
}
