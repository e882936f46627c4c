package backup

import (
	"crypto/rand"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// identify gives the backup its id, its place in the cluster's history, and everything that is known of it by now.
func (r *runner) identify() error {
	id, err := catalog.NewID(r.started, r.info.Revision, rand.Reader)
	if err != nil {
		return err
	}
	seal, info := r.seal, r.info
	r.manifest = catalog.Manifest{
		ID: id, Cluster: r.Cluster,
		Started: r.started, Quorum: r.found.Quorum,
		Lineage: catalog.Lineage{EtcdClusterID: catalog.HexID(r.found.ClusterID)},
		Source:  r.describeSource(),

		Revision: info.Revision, CompactRevision: info.CompactRevision, LinearizableRevision: r.found.R0,
		LiveKeys: info.LiveKeys, Kubernetes: info.Kubernetes, EncryptionKeys: encryptionKeys(info.EncryptionProviders),
		HashKV: catalog.HashKV{
			Hash: info.Hash.Hash, Revision: info.Hash.Revision, CompactRevision: info.Hash.CompactRevision, Members: r.attested,
		},

		Plain: catalog.Plain{Size: seal.Plain.Size, SHA256: seal.Plain.SHA256, TrailerOK: true},
		Sealed: catalog.Sealed{
			Key:  catalog.SealedKey(r.Cluster, id, !r.Plain),
			Size: seal.Sealed.Size, SHA256: seal.Sealed.SHA256, Compression: seal.Compression,
			Stanzas: seal.Stanzas, Fingerprints: seal.Fingerprints,
		},
		ReadBack:    catalog.ReadBack{Mode: "always", OK: true}, // a sink where it failed never gets this manifest
		ToolVersion: r.Tool,
	}
	r.before.Link(&r.manifest)
	return nil
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
	for _, m := range r.found.Members {
		s.Members = append(s.Members, catalog.Member{Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner})
	}
	return s
}

func encryptionKeys(found []snapshot.EncryptionKey) []catalog.EncryptionKey {
	var all []catalog.EncryptionKey
	for _, k := range found {
		all = append(all, catalog.EncryptionKey{Provider: k.Provider, Name: k.Key, Values: k.Values})
	}
	return all
}
