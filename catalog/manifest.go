package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// What this version writes, and all it reads.
const (
	Format      = 1
	KindFull    = "full"
	compression = "zstd"

	// maxSequence is the last number that JSON readers everywhere keep exact (2^53).
	maxSequence = 1 << 53
)

// A Manifest is the commit record of a backup: the backup exists if and only if its manifest does, and it never changes.
// It holds no key names or values of etcd and no recipients. Its JSON is a contract: fields are only ever added.
// Times are RFC 3339 in UTC to the millisecond, hashes are lower-case hex but for HashKV, which is the decimal number that etcdctl prints,
// sizes are bytes, etcd's ids are hex as etcdctl prints them (JSON numbers lose digits).
type Manifest struct {
	Format   int     `json:"format"`
	Kind     string  `json:"kind"`
	ID       ID      `json:"id"`
	Cluster  string  `json:"cluster"`  // the name under which it is kept
	Sequence int64   `json:"sequence"` // the previous one's plus one; racing writers may share one, the id orders them
	Lineage  Lineage `json:"lineage"`
	// Previous is the newest manifest that was seen in any sink when this one was written; nil for the first.
	Previous *Previous `json:"previous"`

	Started    time.Time `json:"started"`              // by the host's clock
	Finished   time.Time `json:"finished"`             // by the host's clock, when the last sink had been read back
	BucketTime time.Time `json:"bucket_time,omitzero"` // by a sink's clock, where it tells
	Quorum     bool      `json:"quorum"`               // the revision is known to be linearizable
	Source     Source    `json:"source"`
	// Certificates are those that the connection to the cluster depended on, the earliest to end of each role; none without TLS.
	Certificates         []Certificate `json:"certificates"`
	Revision             int64         `json:"revision"` // of the newest change it holds
	CompactRevision      int64         `json:"compact_revision"`
	LinearizableRevision int64         `json:"linearizable_revision"` // R0, read before the snapshot began; 0 without quorum
	LiveKeys             int64         `json:"live_keys"`
	HashKV               HashKV        `json:"hashkv"` // what every restored member must have
	Kubernetes           bool          `json:"kubernetes"`
	// EncryptionKeys are the keys of Kubernetes's encryption at rest without which values cannot be read; not in the backup.
	EncryptionKeys []EncryptionKey `json:"encryption_keys"`

	Plain    Plain    `json:"plain"`
	Sealed   Sealed   `json:"sealed"`
	ReadBack ReadBack `json:"read_back"`
	Suspect  Suspect  `json:"suspect"`
	// Alone is there where the first backup of the lineage saw no other, until a person has accepted that.
	Alone *Alone `json:"alone,omitzero"`
	// RecipientsChanged is there until a person has accepted that backups are sealed to others than before.
	RecipientsChanged *RecipientsChanged `json:"recipients_changed,omitzero"`

	Raw         bool   `json:"raw"`         // a copy of member/snap/db rather than what a member sent: no trailer
	PreUpgrade  bool   `json:"pre_upgrade"` // taken just before an upgrade
	ToolVersion string `json:"tool_version"`
}

// A Lineage is one history: backups of one lineage hold ever later states of the same data.
type Lineage struct {
	First         ID    `json:"first"` // id of its first backup
	EtcdClusterID HexID `json:"etcd_cluster_id"`
}

// Previous chains manifests by the hash of the text, see TextSHA256.
type Previous struct {
	ID         ID     `json:"id"`
	TextSHA256 string `json:"text_sha256"`
}

// Source tells which member a backup was taken from, and what cluster it stood in.
type Source struct {
	Endpoint       string   `json:"endpoint"`
	MemberID       HexID    `json:"member_id"`
	MemberName     string   `json:"member_name"`
	ServerVersion  string   `json:"server_version"`
	StorageVersion string   `json:"storage_version"`
	Members        []Member `json:"members"`
	Alarms         []string `json:"alarms"` // as etcdctl names them: NOSPACE, CORRUPT
	DBSize         int64    `json:"db_size"`
	Quota          int64    `json:"quota"` // 0 where the server does not tell
}

// A Member is a member of the source cluster: what a restore makes again if not told otherwise.
type Member struct {
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peer_urls"`
	ClientURLs []string `json:"client_urls"`
	Learner    bool     `json:"learner"`
	// ServerVersion is the version of its etcd, where it was asked: members differ in the middle of an upgrade.
	ServerVersion string `json:"server_version,omitempty"`
}

// HashKV is etcd's hash of all keys at Revision, where CompactRevision was the compact revision.
type HashKV struct {
	Hash            uint32   `json:"hash"`
	Revision        int64    `json:"revision"`
	CompactRevision int64    `json:"compact_revision"`
	Members         []string `json:"members_compared"` // names of members that were seen to have the same; often none
}

// An EncryptionKey names a key of Kubernetes's encryption at rest, and how many values it encrypts.
type EncryptionKey struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Values   int64  `json:"values"`
}

// Plain describes the snapshot as etcd sent it.
type Plain struct {
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	TrailerOK bool   `json:"etcd_trailer_ok"` // etcd's own SHA-256 at the end was there and right
}

// Sealed describes the object in the bucket.
type Sealed struct {
	Key          string   `json:"key"`
	Size         int64    `json:"size"`
	SHA256       string   `json:"sha256"`
	Compression  string   `json:"compression"`
	Stanzas      []string `json:"stanzas"`    // age's stanza types; none if not encrypted
	Fingerprints []string `json:"recipients"` // fingerprints of the recipients; none if not encrypted
	// HeaderSHA256 tells whether the beginning of the object is whole, where it is decided who can open it. Age's header, up to its
	// MAC; "" if not encrypted, and in the oldest manifests.
	HeaderSHA256 string `json:"header_sha256"`
}

// Encrypted reports whether the object is an age file.
func (s Sealed) Encrypted() bool { return strings.HasSuffix(s.Key, ".age") }

// Suspect tells why the backup does not continue the accepted lineage. No reason means that it does.
type Suspect struct {
	Reasons []string `json:"reasons"`
	// Codes are of the reasons, one for each; none in older manifests. See Doubts.
	Codes []DoubtCode `json:"codes"`
	// Unseen says that the only reason is that not all of the sinks could be read. It no longer counts once they can, if
	// nothing older shows up.
	Unseen bool `json:"unseen"`
}

// HexID is an id of etcd: 16 digits of hex at most, as etcdctl prints it.
type HexID uint64

func (h HexID) String() string { return strconv.FormatUint(uint64(h), 16) }

// MarshalText implements encoding.TextMarshaler.
func (h HexID) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *HexID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || HexID(n).String() != string(text) {
		return fmt.Errorf("%.40q is not an id of etcd in hex", text)
	}
	*h = HexID(n)
	return nil
}

// Encode makes the note of a manifest; without signers it is unsigned. Format and Kind need not be set. Times are rounded and turned to UTC.
func Encode(m Manifest, signers ...note.Signer) ([]byte, error) {
	m.Format, m.Kind = Format, KindFull
	m.normalize()
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encode manifest %s: %w", m.ID, err)
	}
	data, err := encodeNote(m, signers)
	if err != nil {
		return nil, fmt.Errorf("encode manifest %s: %w", m.ID, err)
	}
	return data, nil
}

// Decode reads the note of a manifest. Unknown fields are ignored. Errors match ErrNotAuthentic, ErrUnsupported or ErrDamaged; where a key
// is trusted, every change to the text is ErrNotAuthentic.
func Decode(data []byte, t Trust) (Manifest, Signature, error) {
	text, sig, err := openNote(data, t)
	if err != nil {
		return Manifest{}, sig, fmt.Errorf("manifest: %w", err)
	}
	var head struct {
		Format int    `json:"format"`
		Kind   string `json:"kind"`
	}
	var m Manifest
	if err := json.Unmarshal(text, &head); err != nil {
		return Manifest{}, sig, fmt.Errorf("manifest: %w: %w", ErrDamaged, err)
	}
	if head.Format != Format || head.Kind != KindFull {
		return Manifest{}, sig, fmt.Errorf("manifest: format %d, kind %.40q: %w", head.Format, head.Kind, ErrUnsupported)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, sig, fmt.Errorf("manifest: %w: %w", ErrDamaged, err)
	}
	m.normalize()
	if err := m.check(); err != nil {
		return Manifest{}, sig, fmt.Errorf("manifest: %w", err)
	}
	return m, sig, nil
}

// normalize gives a manifest the one form it has on both sides of its JSON.
func (m *Manifest) normalize() {
	for _, t := range []*time.Time{&m.Started, &m.Finished, &m.BucketTime} {
		*t = t.UTC().Truncate(time.Millisecond)
	}
	for _, list := range []*[]string{&m.Source.Alarms, &m.HashKV.Members, &m.Sealed.Stanzas, &m.Sealed.Fingerprints, &m.Suspect.Reasons} {
		*list = orEmpty(*list)
	}
	m.EncryptionKeys, m.Suspect.Codes = orEmpty(m.EncryptionKeys), orEmpty(m.Suspect.Codes)
	m.Certificates, m.ReadBack.Sinks = normalCertificates(m.Certificates), orEmpty(m.ReadBack.Sinks)
	if c := m.RecipientsChanged; c != nil {
		m.RecipientsChanged = &RecipientsChanged{c.Since, orEmpty(c.Before)} // the caller's is not touched
	}
	if a := m.Alone; a != nil {
		m.Alone = &Alone{a.Finished.UTC().Truncate(time.Millisecond), a.LiveKeys}
	}
	m.Source.Members = append([]Member{}, m.Source.Members...)
	for i := range m.Source.Members {
		m.Source.Members[i].PeerURLs = orEmpty(m.Source.Members[i].PeerURLs)
		m.Source.Members[i].ClientURLs = orEmpty(m.Source.Members[i].ClientURLs)
	}
}

// orEmpty makes JSON say [] rather than null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// check says what makes a manifest useless or dangerous to act on. Errors match ErrDamaged, ErrUnsupported or ErrNotAuthentic.
func (m *Manifest) check() error {
	if _, err := ParseID(string(m.ID)); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := CheckCluster(m.Cluster); err != nil { // not matched: it is no usage error of the reader's
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if m.Sealed.Compression != compression {
		return fmt.Errorf("compression %.40q: %w", m.Sealed.Compression, ErrUnsupported)
	}
	// A manifest that points at another backup's payload was not written by any version.
	encrypted := len(m.Sealed.Stanzas) > 0
	if want := SealedKey(m.Cluster, m.ID, encrypted); m.Sealed.Key != want {
		return fmt.Errorf("%w: it points at %.200q instead of %s", ErrNotAuthentic, m.Sealed.Key, want)
	}
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{m.Sequence >= 1 && m.Sequence <= maxSequence, "sequence"},
		{validID(m.Lineage.First), "lineage"},
		{m.Previous == nil || validID(m.Previous.ID) && m.Previous.ID != m.ID && isSHA256(m.Previous.TextSHA256), "previous"},
		{m.Started.Truncate(time.Second).Equal(m.ID.Time()), "started"},
		{!m.Finished.IsZero(), "finished"},
		{m.Revision == m.ID.Revision(), "revision"},
		{m.CompactRevision >= -1 && m.CompactRevision <= m.Revision, "compact_revision"},
		{m.LinearizableRevision >= 0 && m.LiveKeys >= 0 && m.HashKV.Revision >= 0, "counts"},
		{m.Plain.Size > 0 && isSHA256(m.Plain.SHA256), "plain"},
		{m.Sealed.Size > 0 && isSHA256(m.Sealed.SHA256), "sealed"},
		{m.Sealed.HeaderSHA256 == "" || isSHA256(m.Sealed.HeaderSHA256), "sealed.header_sha256"},
		{m.Alone == nil || !m.Alone.Finished.IsZero() && m.Alone.LiveKeys >= 0, "alone"},
		{!slices.ContainsFunc(m.Certificates, Certificate.impossible), "certificates"},
		{m.RecipientsChanged == nil || validID(m.RecipientsChanged.Since), "recipients_changed"},
	} {
		if !c.ok {
			return fmt.Errorf("%w: the field %s is missing or impossible", ErrDamaged, c.what)
		}
	}
	return nil
}

func validID(id ID) bool {
	_, err := ParseID(string(id))
	return err == nil
}
