package restore

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/holder"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A Source is what is restored, with what is known of it before a byte of it is fetched: a backup, or a local snapshot file.
type Source struct {
	ID    string         // the backup's id, or the SHA-256 in hex of a local file: what token and member ids come from
	Asked string         // what the person wrote: an id, latest, latest-verified, before:TIME, a path
	Entry *catalog.Entry // nil for a local file
	File  string         // "" for a backup
	Raw   bool           // a member/snap/db without etcd's digest at its end

	Taken          time.Time // when the backup began; of a local file, when it was last written
	Size           int64     // bytes, the digest at the end included
	SHA256         string    // hex, of those bytes
	Hash           snapshot.Hash
	Revision       int64
	LiveKeys       int64
	StorageVersion string // "" is etcd 3.4 or older
	ServerVersion  string // "" where nobody told
	Kubernetes     bool
	AuthEnabled    bool // known of a local file only; see Result for a backup
	Quota          int64
	Alarms         []string
	EncryptionKeys []string // names of the keys of encryption at rest without which values cannot be read
	Members        []Member // those that voted
	Unproven       []string // of a raw database: what no check can show, in sentences
	Learners       []string
	Unstarted      []string // peer URLs of members that were added and never started
}

// FromBackup makes a source of a backup that was found in the bucket. asked is what the person wrote to choose it.
func FromBackup(e catalog.Entry, asked string) Source {
	s := Source{
		ID: string(e.ID), Asked: asked, Entry: &e, Raw: e.Raw,
		Taken: e.Started, Size: e.Plain.Size, SHA256: e.Plain.SHA256,
		Hash:     snapshot.Hash{Hash: e.HashKV.Hash, Revision: e.HashKV.Revision, CompactRevision: e.HashKV.CompactRevision},
		Revision: e.Revision, LiveKeys: e.LiveKeys,
		StorageVersion: e.Source.StorageVersion, ServerVersion: e.Source.ServerVersion,
		Kubernetes: e.Kubernetes, Quota: e.Source.Quota, Alarms: e.Source.Alarms,
	}
	for _, k := range e.EncryptionKeys {
		s.EncryptionKeys = append(s.EncryptionKeys, keyName(k.Provider, k.Name))
	}
	for _, m := range e.Source.Members {
		s.addMember(Member{m.Name, m.PeerURLs, m.ClientURLs}, m.Learner)
	}
	return s
}

// FromFile makes a source of a local file: it reads all of it, and inspects it in a process of its own. Its members are those
// the file itself names. Errors match snapshot.ErrDamaged for a file that is not whole.
func FromFile(ctx context.Context, path string, raw bool) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return Source{}, &UsageError{Reason: err.Error(), Advice: "give the id of a backup, latest, latest-verified, before:TIME, or the path of a snapshot file"}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Source{}, err
	}
	if !st.Mode().IsRegular() {
		return Source{}, &UsageError{Reason: path + " is not a file", Advice: "give the snapshot file itself"}
	}
	if raw && !holder.LockShared(f) {
		return Source{}, &Refusal{
			What: path + " is held by a running etcd: what is read from it would be from many moments at once",
			Safe: "stop that etcd first, or save a snapshot from it, or give a copy made while it was stopped",
		}
	}
	if err := notSealed(f, path); err != nil {
		return Source{}, err
	}
	if raw && snapshot.HasDigest(st.Size()) { // or it is a raw database that was cut short
		if _, err := snapshot.Inspect(ctx, f, snapshot.InspectOptions{}); err == nil {
			return Source{}, &UsageError{Reason: path + " is a whole snapshot, with etcd's SHA-256 at its end, and no raw database", Advice: "leave out --raw"}
		} else if !errors.Is(err, snapshot.ErrDamaged) {
			return Source{}, err
		}
	}
	info, err := snapshot.Inspect(ctx, f, snapshot.InspectOptions{Raw: raw})
	if err != nil {
		return Source{}, &fileError{path, raw, st.Size(), err}
	}
	s := Source{
		ID: info.SHA256, Asked: path, File: path, Raw: raw, Taken: st.ModTime(), Size: info.Size, SHA256: info.SHA256,
	}
	s.learn(info)
	if raw {
		s.Unproven = unproven(info)
	}
	for _, m := range info.Members {
		s.addMember(Member{m.Name, m.PeerURLs, m.ClientURLs}, m.Learner)
	}
	return s, nil
}

// notSealed tells a sealed file, as it lies in a sink, from a damaged snapshot.
func notSealed(f *os.File, path string) error {
	start := make([]byte, len(sealedStart))
	if _, err := f.ReadAt(start, 0); err != nil || string(start) != sealedStart {
		return nil // whatever it is, the inspection says it better
	}
	return &UsageError{
		Reason: path + " is a sealed backup, not a snapshot",
		Advice: "name the backup by its id and its place by --sink; or open it first: age -d -i KEY " + path + " | zstd -d > snapshot.db",
	}
}

// sealedStart is how every age file begins (C2SP age).
const sealedStart = "age-encryption.org/v1\n"

// fileError is a local file that cannot be restored.
type fileError struct {
	path string
	raw  bool
	size int64 // bytes
	err  error
}

func (e *fileError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// Hint tells what the file may be instead.
func (e *fileError) Hint() string {
	if e.raw || !errors.Is(e.err, snapshot.ErrDamaged) || snapshot.HasDigest(e.size) {
		return ""
	}
	hint := "a snapshot is what `etcdctl snapshot save` writes"
	if e.size > 0 && e.size%512 == 0 { // whole pages, and nothing after them
		hint += "; a member/snap/db of an etcd that is stopped takes --raw"
	}
	return hint
}

// learn takes over what an inspection found.
func (s *Source) learn(info *snapshot.Info) {
	s.Hash, s.Revision, s.LiveKeys = info.Hash, info.Revision, info.LiveKeys
	s.StorageVersion, s.Kubernetes, s.AuthEnabled, s.Alarms = info.StorageVersion, info.Kubernetes, info.AuthEnabled, info.Alarms
	s.EncryptionKeys = nil
	for _, k := range info.EncryptionProviders {
		s.EncryptionKeys = append(s.EncryptionKeys, keyName(k.Provider, k.Key))
	}
}

func (s *Source) addMember(m Member, learner bool) {
	switch {
	case m.Name == "":
		s.Unstarted = append(s.Unstarted, m.PeerURLs...)
	case learner:
		s.Learners = append(s.Learners, m.Name)
	default:
		s.Members = append(s.Members, m)
	}
}

func keyName(provider, key string) string {
	if key == "" {
		return provider
	}
	return provider + "/" + key
}

// name is how messages call the source.
func (s *Source) name() string {
	if s.File != "" {
		return s.File
	}
	return "backup " + s.ID
}

// encrypted reports whether opening the source takes an identity.
func (s *Source) encrypted() bool { return s.Entry != nil && s.Entry.Manifest.Sealed.Encrypted() }

// exact reports whether what was asked for names this backup and can never mean another.
func (s *Source) exact() bool { return s.File != "" || s.Asked == s.ID }
