package restore

import (
	"errors"
	"strings"
	"testing"
)

func TestBadMembersAreRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65)
	for cluster, reason := range map[string]string{
		"":                                   "is not NAME=PEER-URL",
		"m1":                                 "is not NAME=PEER-URL",
		"=http://h:2380":                     "cannot be the name",
		".hidden=http://h:2380":              "cannot be the name",
		"..=http://h:2380":                   "cannot be the name",
		"a/b=http://h:2380":                  "cannot be the name",
		"a b=http://h:2380":                  "cannot be the name",
		long + "=http://h:2380":              "cannot be the name",
		"m1=":                                "neither http nor https",
		"m1=h:2380":                          "neither http nor https",
		"m1=unix://h:2380":                   "neither http nor https",
		"m1=http://h":                        "no port",
		"m1=http://h:0":                      "no port",
		"m1=http://h:65536":                  "no port",
		"m1=http://:2380":                    "no host",
		"m1=http://h:2380/path":              "more than scheme, host and port",
		"m1=http://u:p@h:2380":               "more than scheme, host and port",
		"m1=http://h:2380?x=y":               "more than scheme, host and port",
		"m1=http://0.0.0.0:2380":             "where a member listens",
		"m1=http://[::]:2380":                "where a member listens",
		"m1=http://h:2380,m2=http://h:2380":  "already that of",
		"m1=http://h:2380,m2=http://H:2380/": "already that of",
		"m1=http://h:2380,m1=http://h:2380":  "already that of",
		"m1=http://[fd00::5]:1,m2=http://[fd00:0::5]:1": "already that of",
	} {
		_, err := ParseMembers(cluster)
		var usage *UsageError
		switch {
		case !errors.As(err, &usage) || !errors.Is(err, ErrUsage):
			t.Errorf("%q: %v, want a UsageError", cluster, err)
		case !strings.Contains(usage.Reason, reason) || usage.Hint() == "":
			t.Errorf("%q: %q (%q), want %q", cluster, usage.Reason, usage.Hint(), reason)
		}
	}
	twice := []Member{{Name: "m1", PeerURLs: []string{"http://a:1"}}, {Name: "m1", PeerURLs: []string{"http://b:1"}}}
	if _, err := checkMembers(twice); !errors.Is(err, ErrUsage) {
		t.Errorf("two members of one name: %v", err)
	}
	pasted := []Member{{Name: "m1", PeerURLs: []string{"http://a:1"}, ClientURLs: []string{"http://a:1"}}}
	if _, err := checkMembers(pasted); !errors.Is(err, ErrUsage) {
		t.Errorf("one address for peers and clients: %v", err)
	}
	if _, err := checkMembers(nil); !errors.Is(err, ErrUsage) {
		t.Errorf("no members: %v", err)
	}
	if _, err := checkMembers([]Member{{Name: "m1"}}); !errors.Is(err, ErrUsage) {
		t.Errorf("no peer URL: %v", err)
	}
}

func TestMembersMayHaveSeveralPeerURLs(t *testing.T) {
	t.Parallel()
	all, err := ParseMembers("m1=http://a:2380,m2=http://b:2380,m1=http://[fd00::1]:2380")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(all[0].PeerURLs) != 2 || initialCluster(all) != "m1=http://a:2380,m1=http://[fd00::1]:2380,m2=http://b:2380" {
		t.Errorf("got %+v", all)
	}
}
