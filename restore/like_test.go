package restore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/restore/like"
)

// node is what a file may say of member m2 of oldBackup.
func node(change func(n *like.Node)) *like.Node {
	n := &like.Node{
		File: "/etc/kubernetes/manifests/etcd.yaml", Kind: like.StaticPod, Name: "m2",
		PeerURLs: []string{"https://10.0.0.6:2380"}, ClientURLs: []string{"https://10.0.0.6:4001"}, DataDir: "/var/lib/etcd", Quota: 4 << 30,
	}
	change(n)
	return n
}

func TestTheFileOfAMemberStandsForItsFlags(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	p := s.plan("")
	p.Like = node(func(*like.Node) {})
	for range 2 { // resolved twice, it is the same plan
		if err := p.Resolve(); err != nil {
			t.Fatal(err)
		}
		if p.Only != "m2" || p.DataDir != "/var/lib/etcd" || len(p.Dirs) != 1 || p.Dirs[0] != (Target{"m2", "/var/lib/etcd"}) {
			t.Errorf("member %q in %v", p.Only, p.Dirs)
		}
		if p.Quota != 4<<30 || p.Members[1].ClientURLs[0] != "https://10.0.0.6:4001" || len(p.Attention) > 0 {
			t.Errorf("quota %d, members %+v, notes %q", p.Quota, p.Members, p.Attention)
		}
	}
	plain := s.plan("")
	plain.Only, plain.DataDir = "m2", "/var/lib/etcd"
	if err := plain.Resolve(); err != nil || plain.Token != p.Token || plain.ClusterID != p.ClusterID {
		t.Errorf("the file changes the cluster: %v", err)
	}
	for _, other := range []string{"m1", "m3"} {
		if got, want := strings.Join(p.others()[other], " "), string(s.entry.ID)+" --like "+p.Like.File; got != want {
			t.Errorf("on the node of %s: %s", other, got)
		}
	}
}

// TestWhatWasChosenWinsOverTheFileAndIsSaid gives flags that say something else.
func TestWhatWasChosenWinsOverTheFileAndIsSaid(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for name, c := range map[string]struct {
		change func(p *Plan)
		says   string // in a note; "" is no note
		dir    string
		quota  int64
	}{
		"another place":         {func(p *Plan) { p.DataDir = "/srv/new" }, "--data-dir /srv/new wins", "/srv/new", 4 << 30},
		"the same place":        {func(p *Plan) { p.DataDir = "/var/lib/etcd/" }, "", "/var/lib/etcd", 4 << 30},
		"a folder for all":      {func(p *Plan) { p.Out = "/srv" }, "--out wins", "/srv/m2", 4 << 30},
		"the old name":          {func(p *Plan) { p.Only, p.Like.Name = "m2", "cp2" }, "--member m2 wins", "/var/lib/etcd", 4 << 30},
		"another address":       {func(p *Plan) { p.Members = []Member{{Name: "m2", PeerURLs: []string{"https://10.9.0.6:2380"}}} }, "--initial-cluster wins", "/var/lib/etcd", 4 << 30},
		"a full quota":          {func(p *Plan) { p.Source.Size = 4 << 30 }, "--quota-backend-bytes=8589934592", "/var/lib/etcd", 8 << 30},
		"a full default quota":  {func(p *Plan) { p.Source.Size, p.Like.Quota, p.Source.Quota = 2<<30, 0, 8<<30 }, "--quota-backend-bytes=8589934592", "/var/lib/etcd", 8 << 30},
		"no quota":              {func(p *Plan) { p.Like.Quota = 0 }, "", "/var/lib/etcd", 1 << 30},
		"no limit":              {func(p *Plan) { p.Like.Quota = -1 }, "", "/var/lib/etcd", -1},
		"no peer URL":           {func(p *Plan) { p.Like.PeerURLs = nil }, "", "/var/lib/etcd", 4 << 30},
		"an address of another": {func(p *Plan) { p.Like.ClientURLs = []string{"https://10.0.0.5:2379"} }, "", "/var/lib/etcd", 4 << 30},
	} {
		p := s.plan("")
		p.Like = node(func(*like.Node) {})
		c.change(&p)
		for range 2 {
			if err := p.Resolve(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			notes := strings.Join(p.Attention, "\n")
			if !strings.Contains(notes, c.says) || (c.says == "") != (notes == "") || p.Dirs[0].Dir != c.dir || p.Quota != c.quota {
				t.Errorf("%s: %v, quota %d, notes: %s", name, p.Dirs, p.Quota, notes)
			}
		}
	}
}

// TestAQuotaThatTheDatabaseNearlyFillsIsToldOf, the one that etcd has by itself, too.
func TestAQuotaThatTheDatabaseNearlyFillsIsToldOf(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for name, c := range map[string]struct {
		size, quota int64
		says        string
	}{
		"room":          {1 << 30, 4 << 30, ""},
		"full":          {4 << 30, 4 << 30, "a quota of 4294967296 bytes: start every member with --quota-backend-bytes=8589934592"},
		"room, default": {1 << 30, 0, ""},
		"full, default": {2 << 30, 0, "a quota of 2147483648 bytes: start every member with --quota-backend-bytes=4294967296"},
	} {
		p := s.plan("")
		p.Out, p.Source.Size, p.Source.Quota = "/srv", c.size, c.quota
		if err := p.Resolve(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if notes := strings.Join(p.Attention, "\n"); !strings.Contains(notes, c.says) || (c.says == "") != (notes == "") {
			t.Errorf("%s: notes %q, want %q", name, notes, c.says)
		}
	}
}

// TestAFileThatContradictsTheMembersIsRefused wants the flag that resolves it, and that it does.
func TestAFileThatContradictsTheMembersIsRefused(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	const moved = "m1=https://10.0.0.5:2380,m2=https://10.9.0.6:2380,m3=https://10.0.0.7:2380"
	for name, c := range map[string]struct {
		change   func(n *like.Node)
		says     string
		override string
		resolve  func(p *Plan)
	}{
		"another peer URL": {
			func(n *like.Node) { n.PeerURLs = []string{"https://10.9.0.6:2380"} }, "the peer URL https://10.9.0.6:2380", "--initial-cluster " + moved,
			func(p *Plan) { p.Members, _ = ParseMembers(moved) },
		},
		"another name at the same place": {
			func(n *like.Node) { n.Name = "cp2" }, "the member at https://10.0.0.6:2380 is named m2", "--member m2", func(p *Plan) { p.Only = "m2" },
		},
		"a stranger": {
			func(n *like.Node) { n.Name, n.PeerURLs = "x", []string{"http://h:1"} }, "has the members m1, m2, m3", "x=PEER-URL",
			func(p *Plan) { p.Members, _ = ParseMembers("x=http://h:1,m1=https://10.0.0.5:2380") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "etcd")
			p := s.plan("")
			p.Like = node(func(n *like.Node) { n.DataDir = out; c.change(n) })
			_, err := Run(t.Context(), p, s.deps())
			var r *Refusal
			if !errors.As(err, &r) || !strings.Contains(r.What, c.says) || !strings.Contains(r.What, p.Like.File) || !strings.Contains(r.Override, c.override) || r.Safe == "" {
				t.Fatalf("got %v, %+v", err, r)
			}
			c.resolve(&p)
			if err := p.Resolve(); err != nil {
				t.Errorf("with %s: %v", r.Override, err)
			}
		})
	}
	one := s.plan("")
	one.Source.Members = one.Source.Members[:1]
	one.Like = node(func(*like.Node) {})
	var r *Refusal
	if err := one.Resolve(); !errors.As(err, &r) || r.Override != "--initial-cluster m2=https://10.0.0.6:2380" {
		t.Errorf("of one member: %v %+v", err, r)
	}
}

func TestAFileThatLeavesSomethingOutIsSaidToDoSo(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for i, c := range []struct {
		change func(p *Plan)
		says   string
		advice string
	}{
		{func(p *Plan) { p.Like.Name = "" }, "how its member is named", "--member NAME"},
		{func(p *Plan) { p.Like.DataDir = "" }, "where its member keeps its data", "--data-dir DIR"},
		{func(p *Plan) { p.Members, _ = ParseMembers("a=http://h:1") }, "none of --initial-cluster", "m2=PEER-URL"},
		{func(p *Plan) { p.Source.Asked = "latest" }, "exact id", string(s.entry.ID)},
	} {
		p := s.plan("")
		p.Like = node(func(*like.Node) {})
		c.change(&p)
		var usage *UsageError
		if err := p.Resolve(); !errors.As(err, &usage) || !strings.Contains(usage.Reason, c.says) || !strings.Contains(usage.Advice, c.advice) {
			t.Errorf("%d: got %v %+v", i, err, usage)
		}
	}
}
