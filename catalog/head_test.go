package catalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestAHeadTellsAReplacedBucketFromAPrunedOne(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	a := Named{"mem:a", mem.New()}
	var heads []Head
	var after []Listing // each state of the bucket
	for i := range 6 {
		backupAt(t, []Named{a}, 15*i, 0xa, int64(100+i), 1000, k)
		l := list(t, []Named{a}, k.trust)
		h, ok := l.Head()
		if !ok || h.Sequence != int64(i+1) || h.ID != l.Entries[i].ID {
			t.Fatalf("head %v of %d", h, i+1)
		}
		heads, after = append(heads, h), append(after, l)
	}
	for i, h := range heads {
		if got, err := ParseHead(h.String()); err != nil || got != h {
			t.Errorf("%s: %v %v", h, got, err)
		}
		for j, l := range after {
			if err := l.Expect(h); (err == nil) != (j >= i) || err != nil && !errors.Is(err, ErrNotAuthentic) {
				t.Errorf("head %d in state %d: %v", i+1, j+1, err)
			}
		}
	}
	short, err := ParseHead(heads[2].String()[:len(heads[2].String())-48])
	if err != nil || after[5].Expect(short) != nil {
		t.Errorf("16 digits of the hash: %v %v", err, after[5].Expect(short))
	}

	without := func(l Listing, gone ...int) Listing {
		var kept []Entry
		for i, e := range l.Entries {
			drop := false
			for _, g := range gone {
				drop = drop || g == i
			}
			if !drop {
				kept = append(kept, e)
			}
		}
		l.Entries = kept
		return l
	}
	for name, c := range map[string]struct {
		l    Listing
		head Head
		want error
	}{
		"pruned":                       {without(after[5], 2), heads[2], nil},
		"pruned with what followed it": {without(after[5], 2, 3), heads[2], nil},
		"the head itself removed":      {without(after[5], 5), heads[5], ErrNotAuthentic},
		"the head and more removed":    {without(after[5], 4, 5), heads[4], ErrNotAuthentic},
		"all removed":                  {without(after[5], 0, 1, 2, 3, 4, 5), heads[0], ErrNotAuthentic},
		"another text":                 {after[5], Head{heads[2].ID, 3, heads[3].TextSHA256}, ErrNotAuthentic},
		"another sequence":             {after[5], Head{heads[2].ID, 4, heads[2].TextSHA256}, ErrNotAuthentic},
		"pruned, of another text":      {without(after[5], 2), Head{heads[2].ID, 3, heads[3].TextSHA256}, ErrNotAuthentic},
	} {
		if err := c.l.Expect(c.head); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// What cannot be seen is not gone.
	refused := errors.New("connection refused")
	unseen := without(after[5], 4, 5)
	unseen.Problems = []*Problem{{Sink: "s3://b", Err: refused}}
	if err := unseen.Expect(heads[5]); !errors.Is(err, refused) || errors.Is(err, ErrNotAuthentic) {
		t.Errorf("with a sink unseen: %v", err)
	}
	if err := unseen.Expect(heads[3]); err != nil {
		t.Errorf("what is seen elsewhere: %v", err)
	}
}

func TestOnlyAHeadIsAHead(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("a", 64)
	for _, bad := range []string{"", "latest", string(id1), string(id1) + ":1", string(id1) + ":0:" + hash, string(id1) + ":x:" + hash, string(id1) + ":1:" + hash[:15], string(id1) + ":1:" + hash + "a", string(id1) + ":1:" + hash[:63] + "g", "x:1:" + hash} {
		if _, err := ParseHead(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestABucketThatWasSetBackIsSeenAfterItHasGrownAgain: the sequence numbers are given out a second time.
func TestABucketThatWasSetBackIsSeenAfterItHasGrownAgain(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	for i := range 4 {
		backupAt(t, []Named{a}, 15*i, 0xa, int64(100+i), 1000, key{})
	}
	l := list(t, []Named{a}, Trust{})
	head, _ := l.Head()
	for _, e := range l.Entries[2:] {
		if err := a.Delete(t.Context(), ManifestKey("prod", e.ID)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		backupAt(t, []Named{a}, 24*60+15*i, 0xa, int64(200+i), 1000, key{})
		if err := list(t, []Named{a}, Trust{}).Expect(head); !errors.Is(err, ErrNotAuthentic) {
			t.Errorf("after %d more: %v", i+1, err)
		}
	}
}
