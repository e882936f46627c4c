package restore

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestThePlanTellsWhatWillBeAndWhatWillNot(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("/srv/restored")
	p.Source.Alarms = []string{"NOSPACE"}
	p.Source.Learners = []string{"m4"}
	p.Source.Unstarted = []string{"https://10.0.0.9:2380"}
	p.Source.EncryptionKeys = []string{"aescbc/key1"}
	p.Members = []Member{
		{Name: "m1", PeerURLs: []string{"http://10.1.0.5:2380"}},
		{Name: "m2", PeerURLs: []string{"https://10.0.0.6:2380"}},
		{Name: "new", PeerURLs: []string{"https://10.0.0.8:2380"}},
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(slices.Concat(p.Differences, p.NotHeld), "\n")
	for _, part := range []string{
		fmt.Sprintf("after revision %d", p.Source.Revision), p.Token, fmt.Sprintf("%x", p.ClusterID),
		"member m1 moves from https://10.0.0.5:2380 to http://10.1.0.5:2380", "its members are m1, m2, new instead of m1, m2, m3",
		"learner m4", "https://10.0.0.9:2380", fmt.Sprint(p.Source.Revision + BumpStep), "NOSPACE", "leases",
		"certificates", "sa.key", "aescbc/key1",
	} {
		if !strings.Contains(all, part) {
			t.Errorf("no word of %q in:\n%s", part, all)
		}
	}
	if got := p.Dirs; len(got) != 3 || got[2] != (Target{"new", "/srv/restored/new"}) {
		t.Errorf("directories %v", got)
	}
	if p.Members[1].ClientURLs[0] != "https://10.0.0.6:2379" || p.Members[0].ClientURLs != nil {
		t.Errorf("client URLs of members: %+v", p.Members)
	}
	before := fmt.Sprintf("%+v", p)
	if err := p.Resolve(); err != nil || fmt.Sprintf("%+v", p) != before {
		t.Errorf("resolved twice, the plan is another: %v", err)
	}
}

func TestTheBumpIsForKubernetesUnlessTurnedOff(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for _, c := range []struct {
		kubernetes, noBump bool
		attempt            int
		want               int64
	}{{true, false, 0, BumpStep}, {true, false, 3, 3 * BumpStep}, {true, true, 1, 0}, {false, false, 1, 0}} {
		p := s.plan("/srv/restored")
		p.Source.Kubernetes, p.NoBump, p.Attempt = c.kubernetes, c.noBump, c.attempt
		if err := p.Resolve(); err != nil || p.Bump != c.want {
			t.Errorf("%+v: bump %d, %v", c, p.Bump, err)
		}
	}
}

// TestTheCommandsForOtherNodesMakeTheSameCluster takes the arguments apart as the command line would.
func TestTheCommandsForOtherNodesMakeTheSameCluster(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("")
	p.Only, p.DataDir, p.Attempt, p.EtcdVersion, p.AcceptSuspect = "m2", "/var/lib/etcd", 2, "3.6", true
	p.MaxAge, p.NoBump = 90*time.Minute, true
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	id := string(s.entry.ID)
	want := id + " --member m3 --data-dir /var/lib/etcd --attempt 2 --no-bump --etcd-version 3.6 --max-age 1h30m0s --accept-suspect"
	if got := strings.Join(p.others()["m3"], " "); got != want || len(p.others()) != 2 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p.Members = append(slices.Clone(p.Members[:2]), Member{Name: "x", PeerURLs: []string{"http://h:1"}})
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	args := p.others()["x"]
	i := slices.Index(args, "--initial-cluster")
	if i < 0 {
		t.Fatalf("other members than the backup's, and no --initial-cluster in %v", args)
	}
	there := s.plan("")
	var err error
	if there.Members, err = ParseMembers(args[i+1]); err != nil {
		t.Fatal(err)
	}
	there.Only, there.DataDir, there.Attempt = "x", "/var/lib/etcd", 2
	if err := there.Resolve(); err != nil || there.Token != p.Token || there.ClusterID != p.ClusterID {
		t.Errorf("on the other node it is %s %x, here %s %x: %v", there.Token, there.ClusterID, p.Token, p.ClusterID, err)
	}
}

func TestFlagsAreWhatEtcdNeeds(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("/srv/restored")
	p.Members = []Member{
		{Name: "a", PeerURLs: []string{"https://etcd-a.example:2380", "https://[fd00::5]:2380"}},
		{Name: "b", PeerURLs: []string{"https://10.0.0.6:2380"}, ClientURLs: []string{"https://10.0.0.6:4001"}},
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	cluster := "a=https://etcd-a.example:2380,a=https://[fd00::5]:2380,b=https://10.0.0.6:2380"
	want := []string{
		"--name=a", "--data-dir=/srv/restored/a", "--initial-cluster=" + cluster, "--initial-cluster-token=" + p.Token,
		"--initial-cluster-state=existing",
		"--initial-advertise-peer-urls=https://etcd-a.example:2380,https://[fd00::5]:2380",
		"--listen-peer-urls=https://0.0.0.0:2380,https://[fd00::5]:2380",
		"--advertise-client-urls=https://etcd-a.example:2379", "--listen-client-urls=https://0.0.0.0:2379",
		"--quota-backend-bytes=1073741824",
	}
	if got := p.etcdFlags(p.Dirs[0]); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := p.etcdFlags(p.Dirs[1]); !slices.Contains(got, "--listen-client-urls=https://10.0.0.6:4001") {
		t.Errorf("got %q", got)
	}
}

func TestMembersOnOneHostGetClientPortsOfTheirOwn(t *testing.T) {
	t.Parallel()
	members, err := ParseMembers("c=http://h:1,a=http://h:12379,b=http://h:3,d=http://other:2380")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(clientURLs(members))
	if want := "map[a:[http://h:2379] b:[http://h:22379] c:[http://h:32379] d:[http://other:2379]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheQuotaLeavesRoomForWrites(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range [][3]int64{ // quota of the source, size, quota of the new
		{8 * gib, 1 * gib, 8 * gib},
		{0, 100 << 20, 2 * gib},
		{0, 1900 << 20, 3840 << 20},
		{16 << 20, 16 << 20, 64 << 20},
		{2 * gib, 3 * gib, 6 * gib},
	} {
		if got := quota(c[0], c[1]); got != c[2] {
			t.Errorf("quota %d, size %d: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestSloppyClientURLsOfTheSourceDoNotStopARestore(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("/srv/restored")
	p.Source.Members = []Member{
		{Name: "a", PeerURLs: []string{"https://10.0.0.5:2380"}, ClientURLs: []string{"http://localhost:2379", "http://0.0.0.0:2379"}},
		{Name: "b", PeerURLs: []string{"https://10.0.0.6:2380"}, ClientURLs: []string{"http://localhost:2379", "https://10.0.0.6:2379"}},
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	if p.Members[0].ClientURLs != nil || !slices.Equal(p.Members[1].ClientURLs, []string{"https://10.0.0.6:2379"}) {
		t.Errorf("members %+v", p.Members)
	}
}

func TestASizeNobodyCanHaveIsNotMultiplied(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("/srv/restored")
	p.Source.Size = math.MaxInt64 - 5
	if err := p.Resolve(); err != nil || p.BytesNeeded != math.MaxInt64 {
		t.Errorf("%d bytes needed: %v", p.BytesNeeded, err)
	}
}

// TestOnlyAbandonedStagesOfTheSamePlaceAreRemoved has stages lie about of which just one is a leftover.
func TestOnlyAbandonedStagesOfTheSamePlaceAreRemoved(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	parent := t.TempDir()
	p := s.plan(filepath.Join(parent, "out"))
	mkdir(t, parent, ".out.partial-0123456789abcdef", "m1", "member")
	mkdir(t, parent, ".other.partial-0123456789abcdef")
	mkdir(t, parent, ".out.partial-0123456789abcde")
	mkdir(t, parent, "out.partial-0123456789abcdef")
	touch(t, filepath.Join(parent, ".out.partial-0123456789abcdee"))
	busy, err := newStage(parent, "out", false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := busy.discard(); err != nil {
			t.Error(err)
		}
	}()
	before := tree(t, parent)
	res := mustRun(t, p, s.deps())
	for _, m := range res.Members {
		if err := os.RemoveAll(m.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(p.Out); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(before, "/.out.partial-0123456789abcdef d---------\n/.out.partial-0123456789abcdef/m1 d---------\n/.out.partial-0123456789abcdef/m1/member d---------\n", "")
	if after := tree(t, parent); after != want || want == before {
		t.Errorf("left is:\n%s\nwanted:\n%s", after, want)
	}
}

// TestADestinationThatAppearsMeanwhileIsLeftAlone makes the directory, as another process would, just before the last rename.
func TestADestinationThatAppearsMeanwhileIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for _, exists := range []bool{false, true} {
		parent, out := destination(t, exists)
		d := s.deps()
		mine := filepath.Join(out, "m3")
		d.at = func(point string) error {
			if point == "complete" {
				mkdir(t, mine)
				touch(t, filepath.Join(mine, "mine"))
			}
			return nil
		}
		_, err := Run(t.Context(), s.plan(out), d)
		if err == nil {
			t.Fatal("it was restored over a directory that had appeared")
		}
		want := "/out d---------\n/out/m3 d---------\n/out/m3/mine ----------\n"
		if got := tree(t, parent); got != want {
			t.Errorf("out existed %v: %v; left is:\n%s", exists, err, got)
		}
	}
}

func TestMissingFoldersAboveAreMadeAndGoWithAFailure(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	parent := t.TempDir()
	out := filepath.Join(parent, "a", "b", "out")
	flipped := s
	flipped.entry.Manifest.Sealed.SHA256 = strings.Repeat("0", 64)
	if _, err := Run(t.Context(), flipped.plan(out), s.deps()); err == nil {
		t.Error("a wrong digest passes")
	}
	if left := tree(t, parent); left != "" {
		t.Errorf("left is:\n%s", left)
	}
	if res := mustRun(t, s.plan(out), s.deps()); res.Members[0].Dir != filepath.Join(out, "m1") {
		t.Errorf("made %v", res.Members)
	}
}
