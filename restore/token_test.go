package restore

import "testing"

// The vectors were made with printf and sha256sum. They must never change: members restored by different versions of
// Lifeboat have to form one cluster.
func TestTokenIsWhatItAlwaysWas(t *testing.T) {
	t.Parallel()
	three := []Member{
		{Name: "m2", PeerURLs: []string{"https://10.0.0.6:2380"}},
		{Name: "m1", PeerURLs: []string{"https://10.0.0.5:2380"}},
		{Name: "m3", PeerURLs: []string{"https://10.0.0.7:2380"}},
	}
	two := []Member{{Name: "a", PeerURLs: []string{"http://h:2380", "http://[fd00::5]:2380"}}}
	for _, v := range []struct {
		id      string
		members []Member
		attempt int
		want    string
	}{
		{"20261120T145000Z-r123456-7f3a9c", three, 1, "lifeboat-4607cfe61edd2fbf"},
		{"20261120T145000Z-r123456-7f3a9c", three, 2, "lifeboat-09a691a836d51806"},
		{"X", two, 1, "lifeboat-775a71eb771dc017"},
	} {
		if got := Token(v.id, v.members, v.attempt); got != v.want {
			t.Errorf("token of %s, attempt %d: %s, want %s", v.id, v.attempt, got, v.want)
		}
	}
}

func TestBumpGrowsWithTheAttempt(t *testing.T) {
	t.Parallel()
	if Bump(1) != 1_000_000_000 || Bump(3) != 3_000_000_000 || Bump(maxAttempt) < 0 {
		t.Errorf("bumps are %d, %d, %d", Bump(1), Bump(3), Bump(maxAttempt))
	}
}

// TestMembersHaveTheSameIDsHoweverTheyAreWritten holds what lets members of different runs form one cluster.
func TestMembersHaveTheSameIDsHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	a, err := ParseMembers("m1=https://Node-1.example:2380,m2=http://10.0.0.6:2380")
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseMembers(" m2=http://10.0.0.6:2380/,m1=https://node-1.example:2380")
	if err != nil {
		t.Fatal(err)
	}
	one, err := newCluster(Token("id", a, 1), a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := newCluster(Token("id", b, 1), b)
	if err != nil {
		t.Fatal(err)
	}
	if one.raft.ID() != two.raft.ID() || one.member("m1").ID != two.member("m1").ID || one.member("m2").ID != two.member("m2").ID {
		t.Error("the same members, written in another way, are another cluster")
	}
	other, err := newCluster(Token("id", a, 2), a)
	if err != nil {
		t.Fatal(err)
	}
	if one.raft.ID() == other.raft.ID() || one.member("m1").ID == other.member("m1").ID {
		t.Error("the second attempt has an id of the first")
	}
}
