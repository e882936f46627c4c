package restore

import (
	"net/url"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/restore/like"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

// Book writes the runbook of a kind for a plan, which is refused as a restore would be for what the backup is; where members are to be,
// nobody has looked yet. command makes a command of the arguments of `lifeboat restore`. Errors are *UsageError and *Refusal.
func (p *Plan) Book(kind string, now time.Time, ids []age.Identity, command func(args []string) string) (runbook.Book, error) {
	p.MoveAside, p.DataDir, p.Only, p.Like = false, "", "", nil
	p.Out = "/var/lib/etcd" // only for Resolve, which wants a place
	if err := p.Resolve(); err != nil {
		return runbook.Book{}, err
	}
	for _, refuse := range []func() error{p.checkAuthentic, p.checkLineage, func() error { return p.checkAge(now) }, p.checkVersion, p.checkHead, func() error { return p.checkIdentity(ids) }} {
		if err := refuse(); err != nil {
			return runbook.Book{}, err
		}
	}
	f := runbook.Facts{
		Backup: p.Source.ID, Revision: p.Source.Revision, Bump: p.Bump, TLS: p.tls(), DataDir: p.Out, Restore: map[string]string{},
		Snapshot: func(file string) string { return command(p.extraction(file)) },
	}
	if p.Source.File != "" {
		f.Backup = p.Source.ID[:12]
	}
	p.MoveAside = true
	p.Like = &like.Node{File: runbook.KubeadmFile, DataDir: p.Out}
	if kind == "systemd" {
		p.Like.File = runbook.SystemdFile
	}
	clients := clientURLs(p.Members)
	for _, m := range p.Members {
		u, err := url.Parse(m.PeerURLs[0])
		if err != nil {
			return runbook.Book{}, err // cannot be: it was checked
		}
		f.Members = append(f.Members, runbook.Member{Name: m.Name, Host: u.Hostname(), ClientURL: clients[m.Name][0]})
		f.Restore[m.Name] = command(p.Arguments(m.Name, p.Out))
	}
	if p.Source.Raw && (kind == "k3s" || kind == "talos") {
		return runbook.Book{}, &UsageError{
			Reason: p.Source.name() + " is a raw database, of which no snapshot can be written",
			Advice: "restore a backup; or restore members from it with --out, start them, and take a backup of them",
		}
	}
	b, ok := runbook.Write(kind, f)
	if !ok {
		return b, &UsageError{Reason: "there is no runbook for " + kind, Advice: "there is one for kubeadm, systemd, k3s and talos"}
	}
	return b, nil
}

// extraction are the arguments that write the plain snapshot.
func (p *Plan) extraction(file string) []string {
	args := []string{p.Source.ID, "--snapshot-out", file}
	if p.Source.File != "" {
		args[0] = p.Source.File
	}
	if p.MaxAge > 0 {
		args = append(args, "--max-age", p.MaxAge.String())
	}
	if p.Trust.AcceptUnsigned {
		args = append(args, "--accept-unsigned")
	}
	if p.AcceptSuspect {
		args = append(args, "--accept-suspect")
	}
	return args
}
