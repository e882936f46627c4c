package doctor

import "strings"

// backups looks at what a restore would have to work with.
func (d *decider) backups() {
	b := d.Backups
	if b == nil {
		return
	}
	for _, f := range b.Findings {
		// What the newest backup saw of certificates is old news where the cluster itself shows them.
		if f.Code != "backup-certificate" || d.Etcd == nil || len(d.Etcd.Certificates) == 0 {
			d.Findings = append(d.Findings, f)
		}
	}
	if b.Newest == nil {
		return // which is among those
	}
	e := b.Newest
	if age := d.Now.Sub(e.Started); b.MaxAge > 0 && age > b.MaxAge {
		d.findBackups("backup-old", Warning, "run `lifeboat backup` now, and find out why it did not run", "the newest backup, %s, is %s old", e.ID, ageText(age))
	}
	switch sealed := e.Manifest.Sealed; {
	case !sealed.Encrypted():
		d.findBackups("backup-plain", Warning, "give `lifeboat backup` --recipients-file", "the newest backup is not encrypted: whoever reads the sink reads every Secret")
	case len(sealed.Fingerprints) == 1:
		d.findBackups("single-recipient", Warning, "add a second recipient, whose identity is kept elsewhere", "the backups are sealed to %s alone: if that one identity is lost, so is every backup", sealed.Fingerprints[0])
	}
	d.sameHistory()
	if b.Plan != nil && len(b.Plan.NotHeld) > 0 {
		d.findBackups("not-held", Note, "keep them where they are found when this cluster is gone, and see that they are current", "a restore needs what no backup of etcd holds: %s", strings.Join(b.Plan.NotHeld, "; "))
	}
}

// sameHistory holds the backups against the cluster that runs.
func (d *decider) sameHistory() {
	e := d.Backups.Newest
	if d.Etcd == nil || d.Etcd.ClusterID == 0 {
		return
	}
	switch of := uint64(e.Lineage.EtcdClusterID); {
	case of != d.Etcd.ClusterID:
		d.findBackups("other-cluster", Warning, "look whether these endpoints and these sinks belong together; after a restore, take a backup and have it accepted",
			"the newest backup is of another etcd cluster (%s) than the one that answers (%s)", hex(of), hex(d.Etcd.ClusterID))
	case d.Etcd.Quorum && d.Etcd.Revision < e.Revision:
		d.find("went-backwards", Critical, "stop what writes to it, and find out what was put in its place: it has lost what the backup still holds", nil,
			"the cluster is at revision %d, and was at %d when the backup %s was taken: it was set back or wiped", d.Etcd.Revision, e.Revision, e.ID)
	}
}
