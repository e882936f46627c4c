package datadir

import (
	"archive/tar"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestMembersThatTheDatabaseAndRaftDisagreeOn takes the directory of a member that has seen a learner come, be promoted and go, and
// changes its database as the old versions have left it.
func TestMembersThatTheDatabaseAndRaftDisagreeOn(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, snapshotting()} {
		t.Run(strings.Join(args, ""), func(t *testing.T) {
			t.Parallel()
			dir := grown(t, args)
			sound := inspected(t, dir)
			wants(t, "as it was left", sound)
			if len(sound.Members) != 2 || len(sound.Removed) != 1 {
				t.Fatalf("members %v, removed %v", sound.Members, sound.Removed)
			}
			for _, test := range disagreements(sound) {
				if args == nil && !slices.Contains([]string{"nothing changed", "a zombie", "a voter as a learner"}, test.name) {
					continue // these depend on where the members are read from
				}
				copied := dir + "-" + strings.ReplaceAll(test.name, " ", "-")
				copyDir(t, dir, copied)
				edit(t, copied, test.change)
				d := inspected(t, copied)
				wants(t, test.name, d, test.want...)
				if severe := len(test.want) > 0 && test.want[0] != Downgrade && test.says != "NOSPACE"; d.Severe() != severe {
					t.Errorf("%s: severe is %v: %+v", test.name, d.Severe(), d.Findings)
				}
				if len(d.Findings) > 0 && !strings.Contains(d.Findings[0].Detail, test.says) {
					t.Errorf("%s: %q does not name %s", test.name, d.Findings[0].Detail, test.says)
				}
			}
		})
	}
}

type disagreement struct {
	name   string
	change func(*bbolt.Tx) error
	want   []string
	says   string
}

func disagreements(sound *Dir) []disagreement {
	own, other := sound.Members[0], sound.Members[1]
	if own.ID != sound.MemberID {
		own, other = other, own
	}
	gone := sound.Removed[0]
	asLearner := other
	asLearner.Learner = true
	return []disagreement{
		{"nothing changed", func(*bbolt.Tx) error { return nil }, nil, ""},
		{"a zombie", func(tx *bbolt.Tx) error { return putMember(tx, Member{ID: 0xabc, Name: "zombie"}) }, []string{ZombieMembers}, "abc (zombie)"},
		{"a removed one again", func(tx *bbolt.Tx) error { return putMember(tx, Member{ID: gone, Name: "again"}) }, []string{ZombieMembers, ZombieMembers}, "(again)"},
		{"one is missing", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("members")).Delete([]byte(idText(other.ID))) }, []string{ZombieMembers}, idText(other.ID)},
		{"a voter as a learner", func(tx *bbolt.Tx) error { return putMember(tx, asLearner) }, []string{LearnerVoter}, idText(other.ID) + " (m2) is a learner in the database"},
		{"itself removed", func(tx *bbolt.Tx) error {
			if err := tx.Bucket([]byte("members")).Delete([]byte(idText(own.ID))); err != nil {
				return err
			}
			return tx.Bucket([]byte("members_removed")).Put([]byte(idText(own.ID)), []byte("removed"))
		}, []string{SelfRemoved, ZombieMembers}, idText(own.ID)},
		{"a member that cannot be read", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("members")).Put([]byte(idText(other.ID)), []byte("{"))
		}, []string{DBDamaged}, "member"},
		{"an index beyond the log", setIndex(1 << 40), []string{DBAhead}, "1099511627776"},
		{"an index before the snapshot", setIndex(1), []string{DBBehind}, "entry 1,"},
		{"a database made anew", setIndex(0), []string{DBBehind}, "applied nothing"},
		{"an alarm", raise(pb.AlarmType_NOSPACE), []string{Alarm}, "NOSPACE"},
		{"an alarm of corruption", raise(pb.AlarmType_CORRUPT), []string{Alarm}, "CORRUPT"},
		{"a downgrade", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("cluster")).Put([]byte("downgrade"), []byte(`{"target-version":"3.5.0","enabled":true}`))
		}, []string{Downgrade}, "3.5.0"},
	}
}

// grown is the directory of one of two members, m2 having been a learner; a third was added and removed.
func grown(t *testing.T, args []string) string {
	t.Helper()
	h := newHost(t)
	args = append(slices.Clone(args), "--heartbeat-interval=100", "--election-timeout=1000") // two have to keep a leader on a busy machine
	h.must("3.6", args, func(ctx context.Context, cli *clientv3.Client) {
		joined := newHost(t)
		added, err := cli.MemberAddAsLearner(ctx, []string{joined.spec.PeerURL})
		if err != nil {
			t.Fatal(err)
		}
		joined.spec.Name, joined.spec.State, joined.learner = "m2", "existing", true
		joined.spec.InitialCluster = map[string]string{"m1": h.spec.PeerURL, "m2": joined.spec.PeerURL}
		joined.must("3.6", args, func(ctx context.Context, _ *clientv3.Client) {
			eventually(t, "m2 may be promoted", func() bool {
				_, err := cli.MemberPromote(ctx, added.Member.ID)
				return err == nil
			})
			puts(t, 10)(ctx, cli)
			var third *clientv3.MemberAddResponse
			eventually(t, "a third may be added", func() bool {
				third, err = cli.MemberAddAsLearner(ctx, []string{newHost(t).spec.PeerURL})
				return err == nil
			})
			if _, err := cli.MemberRemove(ctx, third.Member.ID); err != nil {
				t.Fatal(err)
			}
			puts(t, 3)(ctx, cli)
		})
	})
	return h.dir
}

func putMember(tx *bbolt.Tx, m Member) error {
	v, err := json.Marshal(map[string]any{"id": m.ID, "name": m.Name, "peerURLs": m.PeerURLs, "clientURLs": m.ClientURLs, "isLearner": m.Learner})
	if err != nil {
		return err
	}
	return tx.Bucket([]byte("members")).Put([]byte(idText(m.ID)), v)
}

// edit changes the database of a directory.
func edit(t testing.TB, dir string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "member", "snap", "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func setIndex(index uint64) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), binary.BigEndian.AppendUint64(nil, index))
	}
}

func raise(alarm pb.AlarmType) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		k, err := proto.Marshal(&pb.AlarmMember{MemberID: 1, Alarm: alarm})
		if err != nil {
			return err
		}
		return tx.Bucket([]byte("alarm")).Put(k, nil)
	}
}

// TestLearnerThatEtcd3519PromotedIsFound looks into what an etcd 3.5.19 has left: testdata/learner-etcd-3.5.19.tar.zst is the directory
// of m1, started with --snapshot-count=5, to which m2 was added as a learner and promoted, then 20 keys written.
func TestLearnerThatEtcd3519PromotedIsFound(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "m1")
	unpack(t, filepath.Join("testdata", "learner-etcd-3.5.19.tar.zst"), filepath.Dir(dir))
	d := inspected(t, dir)
	wants(t, "of etcd 3.5.19", d, LearnerVoter)
	if !strings.Contains(d.Findings[0].Detail, "cd78c1f17fb2e4a8 (no name) is a learner in the database and a voter in raft") {
		t.Errorf("found %v", d.Findings)
	}
	if d.StorageVersion != "3.5.0" || d.SnapshotIndex != 30 || len(d.Members) != 2 {
		t.Errorf("%+v", d)
	}
}

// unpack unpacks a recorded directory.
func unpack(t testing.TB, archive, to string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := tar.NewReader(z)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else {
			var data []byte
			if data, err = io.ReadAll(files); err == nil {
				err = writeSparse(path, data)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMembersOfASmallerClusterAreNoFinding restores one member of three with the real tool, which keeps raft's old list in the
// database, and lets it serve.
func TestMembersOfASmallerClusterAreNoFinding(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6"})
	puts(t, 3)(t.Context(), c.Client(t))
	file := lab.SaveSnapshot(t, c.Client(t))
	h := newHost(t)
	run(t, lab.Tool(t, "etcd-3.6", "etcdutl"), "snapshot", "restore", file, "--name=m1", "--data-dir="+h.dir,
		"--initial-cluster=m1="+h.spec.PeerURL, "--initial-advertise-peer-urls="+h.spec.PeerURL, "--initial-cluster-token=datadir")
	wants(t, "restored", inspected(t, h.dir))
	h.must("3.6", nil, puts(t, 3))
	wants(t, "served", inspected(t, h.dir))
}

func TestRosterFollowsTheLogAsEtcdDoes(t *testing.T) {
	t.Parallel()
	url := func(n int) []string { return []string{fmt.Sprintf("http://m%d:2380", n)} }
	base := &snapFile{
		Index: 10, Conf: &conf{Voters: []uint64{1, 2}, Learners: []uint64{3}}, Removed: []uint64{9},
		Members: []Member{{ID: 1, PeerURLs: url(1)}, {ID: 2, PeerURLs: url(2)}, {ID: 3, PeerURLs: url(3), Learner: true}},
	}
	for name, test := range map[string]struct {
		change change
		want   string
	}{
		"of before the snapshot":    {change{10, "remove", 1, nil}, "1v 2v 3"},
		"behind the wanted entry":   {change{21, "remove", 1, nil}, "1v 2v 3"},
		"a member more":             {change{11, "add", 4, url(4)}, "1v 2v 3 4v"},
		"a learner more":            {change{11, "learner", 4, url(4)}, "1v 2v 3 4"},
		"one that is there":         {change{11, "learner", 1, url(5)}, "1v 2v 3"},
		"an address that is used":   {change{11, "add", 4, url(2)}, "1v 2v 3"},
		"one that was removed":      {change{11, "add", 9, url(9)}, "1v 2v 3"},
		"a learner promoted":        {change{11, "promote", 3, nil}, "1v 2v 3v"},
		"nobody promoted":           {change{11, "promote", 4, nil}, "1v 2v 3"},
		"a voter removed":           {change{11, "remove", 2, nil}, "1v 3"},
		"nobody removed":            {change{11, "remove", 4, nil}, "1v 2v 3"},
		"an address changed":        {change{11, "update", 2, url(7)}, "1v 2v 3"},
		"a kind that means nothing": {change{11, "", 2, nil}, "1v 2v 3"},
	} {
		f := &logFacts{Last: 30, Snapshot: point{Index: 10}, Snap: base, Changes: []change{test.change}}
		if got := f.rosterAt(20).String(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	for name, f := range map[string]*logFacts{
		"a gap":                        {Last: 30, Gap: &gap{1, 5}},
		"too many changes":             {Last: 30, TooMany: true},
		"behind the end":               {Last: 19},
		"before the beginning":         {Last: 30, Snapshot: point{Index: 25}, Snap: &snapFile{Index: 25, Conf: &conf{}}},
		"a snapshot without a list":    {Last: 30, Snapshot: point{Index: 10}},
		"a .snap that cannot be read":  {Last: 30, Snapshot: point{Index: 10}, Snap: &snapFile{Index: 10, Conf: &conf{}, Store: "bad"}},
		"a log from the snapshot only": {Last: 30, Snapshot: point{Index: 21, Conf: &conf{}}},
	} {
		if r := f.rosterAt(20); r != nil {
			t.Errorf("%s: the members are said to be %s", name, r)
		}
	}
	f := &logFacts{Last: 30, Snapshot: point{Index: 10, Conf: &conf{Voters: []uint64{5}}}}
	if got := f.rosterAt(20).String(); got != "5v" {
		t.Errorf("from the log's own record: %s", got)
	}
}

func (r *roster) String() string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(r.seats)) {
		s := idText(id)
		if r.seats[id].voter {
			s += "v"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}
