package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// keyFiles are where the demo's keys lie, and what was read from them.
type keyFiles struct {
	operator, recipients, signing, trusted string

	identities []age.Identity
	trust      catalog.Trust
}

// backUp makes keys and a bucket, takes a backup, and asks the source what it holds at the backup's revision.
func (d *demo) backUp(ctx context.Context) error {
	s := d.story
	s.step("A backup")
	if err := d.makeKeys(); err != nil {
		return err
	}
	s.say("two post-quantum keys, for the operator and for a safe, and one that signs")
	o, err := d.backupOptions()
	if err != nil {
		return err
	}
	s.command("lifeboat backup --endpoints %s,… --cacert … --cert … --key … %s --recipients-file keys/recipients.txt --signing-key-file keys/signing.key",
		o.Etcd.Endpoints[0], d.sinkFlag())
	began := time.Now()
	if d.backup, err = backup.Run(ctx, o); err != nil {
		return err
	}
	if failed := d.backup.Failed(); len(failed) > 0 {
		return failed[0].Err
	}
	m := d.backup.Manifest
	s.say("%s", m.ID)
	s.say("revision %d, %s keys, HashKV %d (from the file); %s, sealed to %d keys %s; took %s",
		m.Revision, grouped(m.LiveKeys), m.HashKV.Hash, mib(m.Plain.Size), len(m.Sealed.Fingerprints), mib(m.Sealed.Size), seconds(time.Since(began)))
	s.say("read back from the bucket, decrypted and compared before the signed manifest was written")
	return d.askSource(ctx)
}

// makeKeys writes the keys of an operator and of a safe, and one for signing, and reads them back as anybody would.
func (d *demo) makeKeys() error {
	now := time.Now()
	if err := os.Mkdir(d.path("keys"), dirMode); err != nil {
		return err
	}
	d.keys = keyFiles{
		operator: d.path("keys", "operator.key"), recipients: d.path("keys", "recipients.txt"),
		signing: d.path("keys", "signing.key"), trusted: d.path("keys", "signing.key.pub"),
	}
	var recipients string
	for _, file := range []string{d.keys.operator, d.path("keys", "safe.key")} {
		identity, recipient, err := crypto.GenerateIdentity(false, now)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, identity, fileMode); err != nil {
			return err
		}
		recipients += recipient + "\n"
	}
	private, public, err := crypto.GenerateSigningKey("lifeboat-demo", now)
	if err != nil {
		return err
	}
	if err := errors.Join(
		os.WriteFile(d.keys.recipients, []byte(recipients), fileMode),
		os.WriteFile(d.keys.signing, private, fileMode),
		os.WriteFile(d.keys.trusted, []byte(public+"\n"), fileMode),
	); err != nil {
		return err
	}
	if d.keys.identities, err = crypto.LoadIdentities(d.keys.operator); err != nil {
		return err
	}
	d.keys.trust.Verifiers, _, err = crypto.LoadVerifiers(d.keys.trusted)
	return err
}

// bucket is the sink, in a directory.
func (d *demo) bucket() ([]catalog.Named, error) {
	if err := os.MkdirAll(d.path("bucket"), dirMode); err != nil {
		return nil, err
	}
	sink, err := file.New(d.path("bucket"))
	if err != nil {
		return nil, err
	}
	return []catalog.Named{{Name: "file://" + d.path("bucket"), Sink: sink}}, nil
}

func (d *demo) backupOptions() (backup.Options, error) {
	sinks, err := d.bucket()
	if err != nil {
		return backup.Options{}, err
	}
	to, err := crypto.LoadRecipients(d.keys.recipients)
	if err != nil {
		return backup.Options{}, err
	}
	signers, err := crypto.LoadSigners(d.keys.signing)
	if err != nil {
		return backup.Options{}, err
	}
	from := snapshot.Config{CAFile: d.cluster.Files.CA, CertFile: d.cluster.Files.Cert, KeyFile: d.cluster.Files.Key}
	for _, n := range d.cluster.Nodes {
		from.Endpoints = append(from.Endpoints, n.ClientURL)
	}
	return backup.Options{
		Cluster: clusterName, Etcd: from, Sinks: sinks, Recipients: to, Signers: signers, Trust: d.keys.trust,
		SpoolDir: d.dir, Tool: d.Tool, Now: time.Now, Log: d.Log,
	}, nil
}

// askSource asks the members, as long as there are any, for what the restored ones will be compared with: the HashKV of each,
// and every key from one. A HashKV stops a member's writes while it scans; a backup of somebody's cluster does not ask.
func (d *demo) askSource(ctx context.Context) error {
	m := d.backup.Manifest
	want := snapshot.Hash{Hash: m.HashKV.Hash, Revision: m.HashKV.Revision, CompactRevision: m.HashKV.CompactRevision}
	rows, equal := rehearsal.Compare(ctx, want, d.targets(rehearsal.RoleSource))
	d.rows = append(d.rows, rows...)
	d.rows = append(d.rows, rehearsal.BackupRow("manifest", want))
	if !equal {
		d.differs("the backup's HashKV is not the source's")
	}
	var err error
	if d.records, err = readAll(ctx, d.cluster.Nodes[0].Client, m.Revision); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	d.story.say("for the comparison the source is asked now: HashKV of each member at revision %d, and all of its %s keys",
		m.Revision, grouped(int64(len(d.records))))
	return nil
}

func (d *demo) targets(role string) []rehearsal.Target {
	var all []rehearsal.Target
	for _, n := range d.cluster.Nodes {
		all = append(all, rehearsal.Target{Role: role, Name: n.Name, Client: n.Client})
	}
	return all
}
