package backup

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// name gives the backup its id, and with it the sealed file its key. The revision in it is what the file says before it is inspected; check
// holds it to that.
func (r *runner) name(ctx context.Context) error {
	revision, err := snapshot.Head(ctx, r.spool.File())
	if err != nil {
		return err
	}
	if err := (&snapshot.Info{Revision: revision}).Fresh(r.found.R0); err != nil { // no need to send it anywhere
		return err
	}
	if r.id, err = catalog.NewID(r.started, revision, rand.Reader); err != nil {
		return lastError{err}
	}
	r.key = catalog.SealedKey(r.Cluster, r.id, !r.Plain)
	return nil
}

// describe writes into the manifest the backup's place in the cluster's history, and everything that is known of it once it was inspected.
func (r *runner) describe() {
	seal, info := r.seal, r.info
	r.manifest = catalog.Manifest{
		ID: r.id, Cluster: r.Cluster,
		Started: r.started, Finished: r.Now().UTC(), // for Link; text sets the final time
		Quorum:  r.found.Quorum,
		Lineage: catalog.Lineage{EtcdClusterID: catalog.HexID(r.found.ClusterID)},
		Source:  r.describeSource(), Certificates: r.describeCertificates(),

		Revision: info.Revision, CompactRevision: info.CompactRevision, LinearizableRevision: r.found.R0,
		LiveKeys: info.LiveKeys, Kubernetes: info.Kubernetes, EncryptionKeys: encryptionKeys(info.EncryptionProviders),
		HashKV: catalog.HashKV{
			Hash: info.Hash.Hash, Revision: info.Hash.Revision, CompactRevision: info.Hash.CompactRevision, Members: r.attested,
		},

		Plain: catalog.Plain{Size: seal.Plain.Size, SHA256: seal.Plain.SHA256, TrailerOK: true},
		Sealed: catalog.Sealed{
			Key: r.key, Size: seal.Sealed.Size, SHA256: seal.Sealed.SHA256, Compression: seal.Compression,
			Stanzas: seal.Stanzas, Fingerprints: seal.Fingerprints, HeaderSHA256: seal.HeaderSHA256,
		},
		PreUpgrade:  r.PreUpgrade,
		ToolVersion: r.Tool,
	}
	r.before.Link(&r.manifest)
	if reasons := r.manifest.Suspect.Reasons; len(reasons) > 0 {
		r.Log.Warn("the backup is suspect", "cluster", r.Cluster, "id", r.id, "reason", strings.Join(reasons, "; "))
	}
}

func (r *runner) describeSource() catalog.Source {
	from := r.source
	s := catalog.Source{
		Endpoint: from.URL, MemberID: catalog.HexID(from.MemberID), MemberName: from.Name,
		ServerVersion: from.Version, StorageVersion: r.info.StorageVersion, DBSize: from.DBSize, Quota: from.Quota,
	}
	for _, a := range r.found.Alarms {
		s.Alarms = append(s.Alarms, a.Kind)
	}
	members := slices.SortedFunc(slices.Values(r.found.Members), func(a, b snapshot.Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range members {
		s.Members = append(s.Members, catalog.Member{
			Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner, ServerVersion: m.Version,
		})
	}
	return s
}

// describeCertificates is when those that the connection depends on end. Of one that does so soon the log tells: no backup is taken any more once it has.
func (r *runner) describeCertificates() (all []catalog.Certificate) {
	for _, c := range r.cluster.Certificates() {
		role := catalog.CertificateServer
		switch {
		case c.Endpoint == "":
			role = catalog.CertificateClient
		case c.Authority:
			role = catalog.CertificateCA
		}
		all = append(all, catalog.Certificate{Role: role, NotAfter: c.NotAfter})
		if sentence, advice, _ := c.Ending(r.started); sentence != "" {
			r.Log.Warn(sentence, "cluster", r.Cluster, "advice", advice)
		}
	}
	return all
}

// maxEncryptionKeys is how many keys of encryption at rest a manifest names, those with the most values first: a note is bounded.
const maxEncryptionKeys = 64

func encryptionKeys(found []snapshot.EncryptionKey) []catalog.EncryptionKey {
	var all []catalog.EncryptionKey
	for _, k := range found {
		all = append(all, catalog.EncryptionKey{Provider: k.Provider, Name: k.Key, Values: k.Values})
	}
	slices.SortStableFunc(all, func(a, b catalog.EncryptionKey) int { return cmp.Compare(b.Values, a.Values) })
	return all[:min(len(all), maxEncryptionKeys)]
}
