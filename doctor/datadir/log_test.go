package datadir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// segmentSize is the size of the segments that these tests write, in bytes. Etcd's have 64 MB.
const segmentSize = 64 << 10

// A logWriter writes a log with etcd's own code.
type logWriter struct {
	t   *testing.T
	dir string
	w   *wal.WAL
}

func newLog(t *testing.T, member uint64) *logWriter {
	t.Helper()
	metadata, err := proto.Marshal(&pb.Metadata{NodeID: &member, ClusterID: new(uint64(77))})
	must(t, err)
	dir := filepath.Join(t.TempDir(), "wal")
	w, err := wal.Create(zap.NewNop(), dir, metadata)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return &logWriter{t, dir, w}
}

// entry is one of a term with data of that size at least, so that segments fill up.
func entry(index, term uint64, data []byte) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryNormal.Enum(), Data: data}
}

// put is a request of etcd 3.
func put(t *testing.T, id uint64, size int) []byte {
	t.Helper()
	data, err := proto.Marshal(&pb.InternalRaftRequest{
		Header: &pb.RequestHeader{ID: id}, Put: &pb.PutRequest{Key: []byte("k"), Value: make([]byte, size)},
	})
	must(t, err)
	return data
}

// old is a request of etcd 2 as etcd 3.5 writes it into its log.
func old(method, path string) []byte {
	data := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 4711)
	data = protowire.AppendString(protowire.AppendTag(data, methodField, protowire.BytesType), method)
	data = protowire.AppendString(protowire.AppendTag(data, pathField, protowire.BytesType), path)
	value := "{}"
	if path == "" {
		value = ""
	}
	return protowire.AppendString(protowire.AppendTag(data, 4, protowire.BytesType), value)
}

func (l *logWriter) save(commit uint64, entries ...*raftpb.Entry) {
	l.t.Helper()
	term := entries[len(entries)-1].GetTerm()
	must(l.t, l.w.Save(&raftpb.HardState{Term: &term, Commit: &commit}, entries))
}

func (l *logWriter) snapshot(index, term uint64) {
	l.t.Helper()
	must(l.t, l.w.SaveSnapshot(&walpb.Snapshot{Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: []uint64{1}}}))
}

func (l *logWriter) segments() []string {
	l.t.Helper()
	all, err := os.ReadDir(l.dir)
	must(l.t, err)
	var names []string
	for _, e := range all {
		if isSegment(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

func (l *logWriter) read(segments ...string) *logFacts {
	l.t.Helper()
	f, err := readLog(l.t.Context(), order{WALDir: l.dir, Segments: segments})
	must(l.t, err)
	return f
}

// TestLogIsReadFromWhereEtcdStarts holds it to which entries count: those behind the newest raft snapshot that is committed, and of
// two with one index the later.
func TestLogIsReadFromWhereEtcdStarts(t *testing.T) {
	t.Parallel()
	attributes := old("PUT", "/0/members/8e9e05c52164694d/attributes")
	l := newLog(t, 1)
	l.save(2, entry(1, 1, attributes), entry(2, 1, put(t, 2, 10)))
	if f := l.read(l.segments()...); f.Unreadable.Count != 1 || f.Unreadable.First != 1 || f.Disallowed.Count != 0 {
		t.Errorf("an entry of 3.5: %+v", f)
	}
	l.save(2, entry(3, 1, old("DELETE", "/1/foo")), entry(4, 1, old("PUT", "/1/foo")))
	f := l.read(l.segments()...)
	if f.Unreadable.Count != 3 || f.Unreadable.Last != 4 || f.Disallowed.Count != 2 || f.Disallowed.First != 3 || f.Disallowed.What != "DELETE /1/foo" {
		t.Errorf("entries of a client of etcd 2: %+v", f)
	}
	l.save(2, entry(3, 2, put(t, 3, 10)))
	if f = l.read(l.segments()...); f.Unreadable.Count != 1 || f.Disallowed.Count != 0 || f.Last != 3 || f.LastTerm != 2 {
		t.Errorf("overwritten: %+v", f)
	}
	l.snapshot(3, 2)
	if f = l.read(l.segments()...); f.Unreadable.Count != 1 || f.Snapshot.Index != 0 {
		t.Errorf("a snapshot that is not committed: %+v", f)
	}
	l.save(3, entry(4, 2, nil))
	if f = l.read(l.segments()...); f.Unreadable.Count != 0 || f.Snapshot.Index != 3 || !slices.Equal(f.Snapshot.Conf.Voters, []uint64{1}) || f.Commit != 3 {
		t.Errorf("a snapshot that is: %+v", f)
	}
	l.save(5, entry(5, 2, attributes))
	if f = l.read(l.segments()...); f.Unreadable.Count != 1 || f.Unreadable.First != 5 || f.MemberID != 1 || f.ClusterID != 77 || f.Gap != nil || f.Fault != "" {
		t.Errorf("behind it: %+v", f)
	}
	l.snapshot(9, 2) // from a leader
	l.save(9, entry(10, 2, nil))
	if f = l.read(l.segments()...); f.Gap != nil || f.Snapshot.Index != 9 || f.Last != 10 {
		t.Errorf("a leader's snapshot: %+v", f)
	}
	l.save(12, entry(13, 2, nil))
	if f = l.read(l.segments()...); f.Gap == nil || *f.Gap != (gap{10, 13}) {
		t.Errorf("entries left out: %+v", f.Gap)
	}
}

// TestSegmentsThatAreMissingOrForeignAreFound takes some of a log of several segments.
func TestSegmentsThatAreMissingOrForeignAreFound(t *testing.T) {
	t.Parallel()
	l, other := newLog(t, 1), newLog(t, 2)
	const large = segmentSize/2 + 1 // two of them fill a segment
	for i := range uint64(9) {
		l.save(i+1, entry(i+1, 1, put(t, i+1, large)))
	}
	other.save(1, entry(1, 1, put(t, 1, 10)))
	all := l.segments()
	if len(all) < 4 {
		t.Fatalf("segments %v", all)
	}
	if f := l.read(all...); f.Fault != "" || f.Gap != nil || f.Last != 9 || f.First != 1 {
		t.Errorf("whole: %+v", f)
	}
	if f := l.read(slices.Delete(slices.Clone(all), 1, 2)...); !strings.Contains(f.Fault, "a segment is missing") || f.FaultIn != all[2] {
		t.Errorf("one in the middle missing: %+v", f)
	}
	middle := filepath.Join(l.dir, all[1])
	content, err := os.ReadFile(middle)
	must(t, err)
	must(t, os.Truncate(middle, int64(len(content)-100)))
	if f := l.read(all...); f.Fault == "" || f.FaultIn != all[1] || f.FaultLast || f.Torn != "" {
		t.Errorf("one in the middle cut off: %+v", f)
	}
	must(t, os.WriteFile(middle, content, 0o600))
	if f := l.read(all[1:]...); f.Gap == nil || f.Gap.After != 0 || f.First < 2 {
		t.Errorf("the first missing: %+v", f)
	}
	l.snapshot(9, 1)
	l.save(9, entry(10, 1, nil))
	if f := l.read(l.segments()[1:]...); f.Gap != nil || f.Fault != "" || f.Last != 10 {
		t.Errorf("the first not needed any more: %+v", f)
	}
	foreign := filepath.Join(l.dir, all[0])
	data, err := os.ReadFile(filepath.Join(other.dir, other.segments()[0]))
	must(t, err)
	must(t, os.WriteFile(foreign, data, 0o600))
	if f := l.read(all...); f.Fault == "" {
		t.Errorf("the first of another member: %+v", f)
	}
}

func TestEntriesAreJudgedAsNewerEtcdsDo(t *testing.T) {
	t.Parallel()
	attributes := old("PUT", "/0/members/8e9e05c52164694d/attributes")
	inside := protowire.AppendBytes(protowire.AppendTag(nil, v2Field, protowire.BytesType), attributes)
	for _, test := range []struct {
		name                   string
		data                   []byte
		unreadable, disallowed bool
	}{
		{"nothing", nil, false, false},
		{"of etcd 3", put(t, 1, 100), false, false},
		{"a member's attributes", attributes, true, false},
		{"the version", old("PUT", "/0/version"), true, false},
		{"a client's", old("PUT", "/1/a"), true, true},
		{"one that is deleted", old("DELETE", "/1/a"), true, true},
		{"the clock", old("SYNC", ""), false, true}, // 3.7 takes it for a read without effect
		{"inside of one of etcd 3", inside, true, false},
		{"a name that is no UTF-8", func() []byte {
			data := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
			user := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff")
			return protowire.AppendBytes(protowire.AppendTag(data, 1100, protowire.BytesType), user)
		}(), true, false},
		{"without an id", func() []byte {
			return protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), nil)
		}(), true, false},
	} {
		if o := judgeEntry(1, test.data); o.unreadable != test.unreadable || o.disallowed != test.disallowed {
			t.Errorf("%s: %+v", test.name, o)
		}
	}
}

func TestForTellsWhatIsInTheWayOfAVersion(t *testing.T) {
	t.Parallel()
	d := &Dir{StorageVersion: "3.6.0", Findings: []Finding{
		{Code: V2Leftovers, Severe: true}, {Code: V2Content, Severe: true}, {Code: ZombieMembers, Severe: true}, {Code: Fragmented},
	}}
	for version, want := range map[string]string{
		"3.5.35": "[zombie-members storage-version]",
		"3.6":    "[v2-content zombie-members]",
		"v3.6.4": "[v2-content zombie-members]",
		"3.7.3":  "[v2-leftovers zombie-members]",
	} {
		got := codes(&Dir{Findings: d.For(version)})
		if fmt.Sprint(got) != want {
			t.Errorf("for %s: %v, want %s", version, got, want)
		}
	}
}
