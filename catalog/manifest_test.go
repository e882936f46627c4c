package catalog

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// sample is a manifest with every field set.
func sample(id ID) Manifest {
	hash := strings.Repeat("0123456789abcdef", 4)
	return Manifest{
		Format: Format, Kind: KindFull, ID: id, Cluster: "prod", Sequence: 42,
		Lineage:  Lineage{First: "20261001T000000Z-r7-000000", EtcdClusterID: 0xcdf818194e3a8c32},
		Previous: &Previous{ID: "20261120T143500Z-r123000-aaaaaa", TextSHA256: hash},
		Started:  id.Time().Add(250 * time.Millisecond), Finished: id.Time().Add(time.Minute), BucketTime: id.Time().Add(61 * time.Second),
		Quorum: true,
		Source: Source{
			Endpoint: "https://10.0.0.5:2379", MemberID: 0x8e9e05c52164694d, MemberName: "m1", ServerVersion: "3.6.16", StorageVersion: "3.6.0",
			Members: []Member{
				{Name: "m1", PeerURLs: []string{"https://10.0.0.5:2380"}, ClientURLs: []string{"https://10.0.0.5:2379"}},
				{Name: "m2", PeerURLs: []string{"https://10.0.0.6:2380"}, ClientURLs: []string{}, Learner: true},
			},
			Alarms: []string{"NOSPACE"}, DBSize: 1 << 31, Quota: 8 << 30,
		},
		Certificates: []Certificate{{CertificateClient, time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}, {CertificateCA, time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC)}},
		Revision:     id.Revision(), CompactRevision: min(100, id.Revision()), LinearizableRevision: id.Revision() - 1, LiveKeys: 20_000,
		HashKV:         HashKV{Hash: 4_000_000_000, Revision: id.Revision(), CompactRevision: 100, Members: []string{"m2"}},
		Kubernetes:     true,
		EncryptionKeys: []EncryptionKey{{Provider: "aescbc", Name: "key1", Values: 17}},
		Plain:          Plain{Size: 1 << 31, SHA256: hash, TrailerOK: true},
		Sealed: Sealed{
			Key: SealedKey("prod", id, true), Size: 1 << 28, SHA256: hash, Compression: "zstd",
			Stanzas: []string{"mlkem768x25519"}, Fingerprints: []string{"0123456789abcdef"}, HeaderSHA256: hash,
		},
		ReadBack: ReadBackOf([]SinkReadBack{{"s3://backups", ReadBackAlways, true}, {"gs://backups", ReadBackDaily, false}}), Suspect: Suspect{Reasons: []string{"a <reason> & \"more\""}, Codes: []DoubtCode{DoubtOther}},
		RecipientsChanged: &RecipientsChanged{"20261120T143500Z-r123000-aaaaaa", []string{"fedcba9876543210"}}, PreUpgrade: true, ToolVersion: "v0.1.0",
	}
}

// A key is a signing key pair.
type key struct {
	signer  note.Signer
	trust   Trust
	encoded string // public
}

func newKey(t testing.TB, name string) key {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return key{s, Trust{Verifiers: note.VerifierList(v)}, public}
}

func encode(t testing.TB, m Manifest, signers ...note.Signer) []byte {
	t.Helper()
	data, err := Encode(m, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestManifestsReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	want := sample(id1)
	for name, c := range map[string]struct {
		signers []note.Signer
		trust   Trust
		sig     Signature
	}{
		"unsigned":             {nil, Trust{}, Signature{}},
		"signed":               {[]note.Signer{k.signer}, k.trust, Signature{Signed: true, By: []string{k.encoded[:13]}, Trusted: true}},
		"signed by a stranger": {[]note.Signer{k.signer}, Trust{}, Signature{Signed: true, By: []string{k.encoded[:13]}}},
		"signed twice":         {[]note.Signer{newKey(t, "other").signer, k.signer}, k.trust, Signature{Signed: true, By: []string{k.encoded[:13]}, Trusted: true}},
		"unsigned, accepted":   {nil, Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}, Signature{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := encode(t, want, c.signers...)
			got, sig, err := Decode(data, c.trust)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got) + cmp.Diff(c.sig, sig); diff != "" {
				t.Error(diff)
			}
			line, rest, _ := bytes.Cut(data, []byte("\n"))
			if !json.Valid(line) || (len(rest) == 0) != (c.signers == nil) || TextSHA256(data) != TextSHA256(append(line, '\n')) {
				t.Errorf("the note is not one line of JSON and signatures:\n%s", data)
			}
		})
	}
}

func TestManifestFieldsKeepTheirNames(t *testing.T) {
	t.Parallel()
	const want = `{"format":1,"kind":"full","id":"20261120T145000Z-r123456-7f3a9c","cluster":"prod","sequence":42,` +
		`"lineage":{"first":"20261001T000000Z-r7-000000","etcd_cluster_id":"cdf818194e3a8c32"},` +
		`"previous":{"id":"20261120T143500Z-r123000-aaaaaa","text_sha256":"HASH"},` +
		`"started":"2026-11-20T14:50:00.25Z","finished":"2026-11-20T14:51:00Z","bucket_time":"2026-11-20T14:51:01Z","quorum":true,` +
		`"source":{"endpoint":"https://10.0.0.5:2379","member_id":"8e9e05c52164694d","member_name":"m1","server_version":"3.6.16","storage_version":"3.6.0",` +
		`"members":[{"name":"m1","peer_urls":["https://10.0.0.5:2380"],"client_urls":["https://10.0.0.5:2379"],"learner":false},` +
		`{"name":"m2","peer_urls":["https://10.0.0.6:2380"],"client_urls":[],"learner":true}],"alarms":["NOSPACE"],"db_size":2147483648,"quota":8589934592},` +
		`"certificates":[{"role":"client","not_after":"2027-01-02T03:04:05Z"},{"role":"ca","not_after":"2036-01-02T03:04:05Z"}],` +
		`"revision":123456,"compact_revision":100,"linearizable_revision":123455,"live_keys":20000,` +
		`"hashkv":{"hash":4000000000,"revision":123456,"compact_revision":100,"members_compared":["m2"]},"kubernetes":true,` +
		`"encryption_keys":[{"provider":"aescbc","name":"key1","values":17}],"plain":{"size":2147483648,"sha256":"HASH","etcd_trailer_ok":true},` +
		`"sealed":{"key":"v1/prod/snapshots/20261120T145000Z-r123456-7f3a9c.db.zst.age","size":268435456,"sha256":"HASH","compression":"zstd",` +
		`"stanzas":["mlkem768x25519"],"recipients":["0123456789abcdef"],"header_sha256":"HASH"},"read_back":{"mode":"daily","ok":false,"sinks":[{"sink":"s3://backups","mode":"always","full":true},{"sink":"gs://backups","mode":"daily","full":false}]},` +
		`"suspect":{"reasons":["a <reason> & \"more\""],"codes":["other"],"unseen":false},"alone":{"finished":"2026-10-01T00:00:09Z","live_keys":5},` +
		`"recipients_changed":{"since":"20261120T143500Z-r123000-aaaaaa","before":["fedcba9876543210"]},"raw":false,"pre_upgrade":true,"tool_version":"v0.1.0"}` + "\n"
	m := sample(id1)
	m.Alone = &Alone{time.Date(2026, 10, 1, 2, 0, 9, 0, time.FixedZone("here", 7200)), 5}
	got := strings.ReplaceAll(string(encode(t, m)), strings.Repeat("0123456789abcdef", 4), "HASH")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFirstPlainManifestHasNoNulls(t *testing.T) {
	t.Parallel()
	m := sample(id1)
	m.Previous, m.BucketTime, m.EncryptionKeys, m.Suspect, m.HashKV.Members, m.Certificates = nil, time.Time{}, nil, Suspect{}, nil, nil
	m.Source.Members, m.Source.Alarms, m.Sealed.Stanzas, m.Sealed.Fingerprints = nil, nil, nil, nil
	m.ReadBack.Sinks = nil
	m.Sealed.Key, m.Sealed.HeaderSHA256, m.RecipientsChanged = SealedKey(m.Cluster, m.ID, false), "", nil
	m.Started = m.Started.In(time.FixedZone("here", 7200)).Add(77 * time.Microsecond)
	text := string(encode(t, m))
	if strings.Count(text, "null") != 1 || !strings.Contains(text, `"previous":null`) || strings.Contains(text, "bucket_time") {
		t.Error(text)
	}
	got, _, err := Decode([]byte(text), Trust{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Sealed.Encrypted() || !got.Started.Equal(sample(id1).Started) || got.Started.Location() != time.UTC {
		t.Errorf("%+v", got)
	}
}

func TestUnknownFieldsAreIgnoredAndUnknownFormatsRefused(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	sign := func(text string) []byte {
		data, err := note.Sign(&note.Note{Text: text}, k.signer)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	text := string(encode(t, sample(id1)))
	if got, _, err := Decode(sign(strings.Replace(text, `"format":1,`, `"format":1,"later":{"a":[1]},`, 1)), k.trust); err != nil || !cmp.Equal(got, sample(id1)) {
		t.Errorf("with a new field: %v", err)
	}
	for old, changed := range map[string]string{
		`"format":1`:           `"format":2`,
		`"kind":"full"`:        `"kind":"increment"`,
		`{"format":1,`:         `{"format":3,"sealed":7,`,
		`"compression":"zstd"`: `"compression":"zstd9"`,
	} {
		for _, data := range [][]byte{sign(strings.Replace(text, old, changed, 1)), []byte(strings.Replace(text, old, changed, 1))} {
			_, _, err := Decode(data, Trust{})
			if !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotAuthentic) {
				t.Errorf("%s: %v", changed, err)
			}
		}
	}
}

func TestManifestsThatCannotBeActedOnAreRefused(t *testing.T) {
	t.Parallel()
	text := string(encode(t, sample(id1)))
	for name, c := range map[string]struct {
		old, changed string
		want         error
	}{
		"other payload":      {`snapshots/20261120T145000Z`, `snapshots/20261120T145001Z`, ErrNotAuthentic},
		"other cluster's":    {`"key":"v1/prod/`, `"key":"v1/test/`, ErrNotAuthentic},
		"outside":            {`"key":"v1/`, `"key":"../v1/`, ErrNotAuthentic},
		"encrypted or not":   {`["mlkem768x25519"]`, `[]`, ErrNotAuthentic},
		"id":                 {`"id":"20261120T145000Z-r123456-7f3a9c"`, `"id":"latest"`, ErrDamaged},
		"cluster":            {`"cluster":"prod"`, `"cluster":"../prod"`, ErrDamaged},
		"sequence":           {`"sequence":42`, `"sequence":0`, ErrDamaged},
		"revision":           {`"revision":123456,"compact_revision":100,"lin`, `"revision":123457,"compact_revision":100,"lin`, ErrDamaged},
		"compacted later":    {`"compact_revision":100,"lin`, `"compact_revision":123457,"lin`, ErrDamaged},
		"start":              {`"started":"2026-11-20T14:50:00.25Z"`, `"started":"2026-11-20T14:50:01Z"`, ErrDamaged},
		"finish":             {`"finished"`, `"finishedd"`, ErrDamaged},
		"live keys":          {`"live_keys":20000`, `"live_keys":-1`, ErrDamaged},
		"plain size":         {`"size":2147483648`, `"size":0`, ErrDamaged},
		"plain hash":         {`"sha256":"0`, `"sha256":"g`, ErrDamaged},
		"upper-case hash":    {`abcdef","etcd_trailer`, `ABCDEF","etcd_trailer`, ErrDamaged},
		"no sealed size":     {`"size":268435456`, `"sizes":268435456`, ErrDamaged},
		"lineage":            {`"first":"2026`, `"first":"x026`, ErrDamaged},
		"previous is itself": {`"previous":{"id":"20261120T143500Z-r123000-aaaaaa"`, `"previous":{"id":"20261120T145000Z-r123456-7f3a9c"`, ErrDamaged},
		"hash too large":     {`"hash":4000000000`, `"hash":4300000000`, ErrDamaged},
		"etcd id":            {`"cdf818194e3a8c32"`, `"0xcdf818194e3a8c3"`, ErrDamaged},
		"certificate":        {`"not_after":"2027-01-02T03:04:05Z"`, `"not_after":"9999-12-31T23:59:59-01:00"`, ErrDamaged},
		"two values":         {"}\n", "}{}\n", ErrDamaged},
		"two lines":          {"}\n", "}\n{}\n", ErrDamaged},
		"no newline":         {"}\n", "}", ErrDamaged},
		"array":              {`{"format":1`, `[{"format":1`, ErrDamaged},
		"too long":           {`"tool_version":"`, `"tool_version":"` + strings.Repeat("v", maxNote), ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(text, c.old, c.changed, 1)
			if changed == text {
				t.Fatal("nothing was changed")
			}
			if _, _, err := Decode([]byte(changed), Trust{}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	for _, data := range []string{"", "\n", "\n\n", "{}\n", "null\n"} {
		if _, _, err := Decode([]byte(data), Trust{}); err == nil {
			t.Errorf("%q is a manifest", data)
		}
	}
	m := sample(id1)
	m.ToolVersion = strings.Repeat("v", maxNote)
	if _, err := Encode(m); err == nil {
		t.Error("a manifest was made that is too long to be read")
	}
	if _, err := Encode(Manifest{}); err == nil {
		t.Error("an empty manifest was made")
	}
}

func TestTrustDecidesOverSignatures(t *testing.T) {
	t.Parallel()
	k, other := newKey(t, "prod"), newKey(t, "prod")
	m := sample(id1)
	accept := k.trust
	accept.AcceptUnsigned = true
	signed, byOther, unsigned := encode(t, m, k.signer), encode(t, m, other.signer), encode(t, m)
	forged := bytes.Replace(signed, []byte(`"live_keys":20000`), []byte(`"live_keys":20001`), 1)
	for name, c := range map[string]struct {
		data []byte
		t    Trust
		want error
	}{
		"unsigned":                        {unsigned, k.trust, ErrNotAuthentic},
		"unsigned, accepted":              {unsigned, accept, nil},
		"unsigned, no keys":               {unsigned, Trust{}, nil},
		"by another":                      {byOther, k.trust, ErrNotAuthentic},
		"by another, unsigned accepted":   {byOther, accept, ErrNotAuthentic},
		"by another, no keys":             {byOther, Trust{}, nil},
		"forged":                          {forged, k.trust, ErrNotAuthentic},
		"forged, unsigned accepted":       {forged, accept, ErrNotAuthentic},
		"forged, no keys":                 {forged, Trust{}, nil},
		"right":                           {signed, accept, nil},
		"signature cut off":               {signed[:bytes.IndexByte(signed, '\n')+1], k.trust, ErrNotAuthentic},
		"signature half, accepted":        {signed[:len(signed)-10], accept, ErrNotAuthentic},
		"signature half, no keys":         {signed[:len(signed)-10], Trust{}, ErrDamaged},
		"damaged and unsigned, no keys":   {unsigned[:len(unsigned)-3], Trust{}, ErrDamaged},
		"damaged and unsigned":            {unsigned[:len(unsigned)-3], accept, ErrNotAuthentic},
		"trusting nobody in particular":   {signed, Trust{Verifiers: note.VerifierList()}, ErrNotAuthentic},
		"another's text before the right": {append([]byte("{}\n\n"), signed...), k.trust, ErrNotAuthentic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Decode(c.data, c.t)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestEveryBitFlipOfASignedManifestIsRefusedOrLeavesItsText(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	signed := encode(t, sample(id1), k.signer)
	accept := k.trust
	accept.AcceptUnsigned = true
	for name, trust := range map[string]Trust{"trusted": k.trust, "unsigned accepted": accept} {
		refused, harmless := 0, 0
		try := func(what string, at int, data []byte) {
			_, _, err := Decode(data, trust)
			switch {
			case errors.Is(err, ErrNotAuthentic):
				refused++
			case err == nil && TextSHA256(data) == TextSHA256(signed):
				harmless++
			default:
				t.Errorf("%s: %s at %d: %v", name, what, at, err)
			}
		}
		step := 1
		if trust.AcceptUnsigned && os.Getenv("LIFEBOAT_TEST_LONG") != "1" {
			step = 7 // every bit of a byte comes up, in turn
		}
		flips := 0
		for bit := 0; bit < len(signed)*8; bit += step {
			data := bytes.Clone(signed)
			data[bit/8] ^= 1 << (bit % 8)
			try("bit flip", bit, data)
			flips++
		}
		for n := range signed {
			try("truncation", n, signed[:n])
		}
		t.Logf("%s: %d bit flips and %d truncations of %d bytes: %d refused, %d accepted with the text unchanged", name, flips, len(signed), len(signed), refused, harmless)
		if harmless > 8 || refused+harmless != flips+len(signed) {
			t.Errorf("%d were accepted", harmless)
		}
	}
	// Without keys nothing can be promised, but that it ends in one of the classes, or in a manifest that is possible.
	classes := map[string]int{}
	for bit := range len(signed) * 8 {
		data := bytes.Clone(signed)
		data[bit/8] ^= 1 << (bit % 8)
		_, sig, err := Decode(data, Trust{})
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrUnsupported), errors.Is(err, ErrNotAuthentic):
			classes["refused"]++
		case err == nil && !sig.Trusted:
			classes["taken"]++
		default:
			t.Errorf("bit flip at %d: %+v %v", bit, sig, err)
		}
	}
	t.Logf("without trusted keys: %v", classes)
}

func FuzzDecode(f *testing.F) {
	k := newKey(f, "prod")
	f.Add(encode(f, sample(id1), k.signer))
	f.Add(encode(f, sample(id1)))
	golden, err := os.ReadFile("testdata/format1.note")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, sig, err := Decode(data, k.trust); err == nil && !sig.Trusted {
			t.Error("taken without a signature")
		}
		m, _, err := Decode(data, Trust{})
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrNotAuthentic) {
				t.Errorf("error of no class: %v", err)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			if len(data) > maxNote/7 { // escaping makes it longer
				return
			}
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if got, _, err := Decode(again, Trust{}); err != nil || !cmp.Equal(got, m) {
			t.Errorf("changed by writing and reading: %v %s", err, cmp.Diff(m, got))
		}
	})
}

func FuzzDecodeMark(f *testing.F) {
	m := Mark{ID: id1, Cluster: "prod", Mark: MarkHold, Time: id1.Time(), Reason: "audit"}
	data, err := EncodeMark(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.key(), data)
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		m, err := DecodeMark(key, data, Trust{})
		if err != nil {
			return
		}
		if _, _, _, err := parseMarkKey(m.Cluster, key); err != nil {
			t.Errorf("a mark under a key that is none: %v", err)
		}
	})
}

func ExampleManifest() {
	data, err := Encode(sample("20261120T145000Z-r123456-7f3a9c"))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, sig, err := Decode(data, Trust{})
	fmt.Println(m.Cluster, m.Revision, m.HashKV.Hash, sig.Signed, err)
	// Output: prod 123456 4000000000 false <nil>
}
