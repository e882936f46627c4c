package runbook

// k3s has etcd inside, and takes a snapshot on one server; the others join that one anew.
func (f Facts) k3s() (steps, back []Step) {
	const server = "/var/lib/rancher/k3s/server/"
	first, others := f.names()[:1], f.names()[1:]
	file := server + "lifeboat-" + f.Backup + ".db"
	stop := Step{
		Title: "Stop k3s, and with it API server and etcd, on every server", On: f.names(), Commands: []string{"systemctl stop k3s"},
		Until: "Agents may go on running.",
	}
	steps = []Step{stop, {
		Title: "Write the plain snapshot", On: first, Commands: []string{f.Snapshot(file)},
	}, {
		Title: "Reset this one server to the snapshot", On: first,
		Commands: []string{`k3s server --cluster-reset --cluster-reset-restore-path=` + file + ` --token="$(cat ` + server + `token)"`},
		Until: "It ends by itself with \"restart without --cluster-reset flag now\"; the old data is now in " + server + "db/etcd-old-…. The token has to be the one the cluster had " +
			"when the backup was taken: on a new machine, give the one you keep. Flags of the k3s service that are not in /etc/rancher/k3s/config.yaml have to be given too.",
	}, {
		Title: "Start it", On: first, Commands: []string{"systemctl start k3s", "k3s kubectl get nodes"},
	}}
	if len(others) > 0 {
		steps = append(steps, Step{
			Title: "Let the other servers join it, one after the other", On: others,
			Commands: []string{"mv " + server + "db " + server + "db.before-" + f.Backup, "systemctl start k3s"},
			Until:    "The next one when `k3s kubectl get nodes` shows this one as Ready.",
		})
	}
	const tls = server + "tls/etcd/"
	steps = append(steps, Step{
		Title: "Look at etcd", On: first,
		Commands: []string{"etcdctl --endpoints=https://127.0.0.1:2379 --cacert=" + tls + "server-ca.crt --cert=" + tls + "client.crt --key=" + tls + "client.key endpoint status --cluster -w table"},
		Until:    "Every server is a member, one is leader. k3s does not raise the revision: what has seen later ones must start over, which is the next step.",
	}, forget("k3s or its agent", "systemctl restart k3s-agent"), Step{
		Title: "Remove the plain snapshot, which is not encrypted", On: first, Commands: []string{"rm " + file},
	}, adopt())
	back = []Step{stop, {
		Title: "Put the old data back on the first server", On: first,
		Commands: []string{"mv " + server + "db/etcd " + server + "db/etcd-restored", "mv " + server + "db/etcd-old-* " + server + "db/etcd"},
		Until:    "If there are several etcd-old-…, it is the newest.",
	}}
	if len(others) > 0 {
		back = append(back, Step{
			Title: "Put the old data back on the others", On: others,
			Commands: []string{"mv " + server + "db " + server + "db.restored", "mv " + server + "db.before-" + f.Backup + " " + server + "db"},
		})
	}
	return steps, append(back, Step{Title: "Start k3s", On: f.names(), Commands: []string{"systemctl start k3s --no-block"}})
}

// talos recovers one node from a snapshot that the person's machine sends; the others join by themselves.
func (f Facts) talos() (steps, back []Step) {
	file := "lifeboat-" + f.Backup + ".db"
	var look, save, reset, kubelets []string
	for _, m := range f.Members {
		at := "talosctl --nodes " + m.Host + " "
		look = append(look, at+"service etcd")
		save = append(save, at+"cp /var/lib/etcd/member/snap/db ./before-"+m.Name)
		reset = append(reset, at+"reset --graceful=false --reboot --system-labels-to-wipe=EPHEMERAL")
		kubelets = append(kubelets, at+"service kubelet restart")
	}
	one := "talosctl --nodes " + f.Members[0].Host + " "
	recoverIt := func(file, more string) Step {
		return Step{
			Title: "Recover etcd on " + f.Members[0].Name + ", and on no other", Commands: []string{one + "bootstrap --recover-from=./" + file + more},
			Until: "The others join by themselves.",
		}
	}
	steps = []Step{{
		Title: "Write the plain snapshot, on the machine with talosctl", Commands: []string{f.Snapshot(file)},
	}, {
		Title: "Look at every control plane node", Commands: look,
		Until: "A recovery begins only where no etcd runs and none has data: state Preparing on every node. Nodes that are so already need neither of the next two steps.",
	}, {
		Title: "Save what the nodes still have, which is the only way back", Commands: save,
		Until: "A node that has nothing any more fails here, and that is fine.",
	}, {
		Title: "Take etcd's data, and with it every API server, off every control plane node", Commands: reset,
		Until: "This deletes the node's ephemeral data: etcd, images, logs. The nodes reboot, and wait in state Preparing.",
	}, recoverIt(file, ""), {
		Title: "Look at etcd", Commands: []string{one + "etcd members", "talosctl --nodes " + f.hosts() + " etcd status"},
		Until: "Every node is a member, one is leader. Talos does not raise the revision: what has seen later ones must start over, which is the next step.",
	}, forget("its kubelet", kubelets...), {
		Title: "Remove the plain snapshot, which is not encrypted", Commands: []string{"rm " + file},
	}, adopt()}
	return steps, []Step{{
		Title: "Take the restored data off every control plane node", Commands: reset,
	}, recoverIt("before-"+f.Members[0].Name+"/db", " --recover-skip-hash-check")}
}

func (f Facts) hosts() string {
	var all string
	for i, m := range f.Members {
		if i > 0 {
			all += ","
		}
		all += m.Host
	}
	return all
}
