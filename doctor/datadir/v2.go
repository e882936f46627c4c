package datadir

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// An oldEntry is an entry of the log in the form of etcd 2, which a newer etcd does not take any more.
type oldEntry struct {
	index      uint64
	unreadable bool   // by etcd 3.7
	disallowed bool   // by etcd 3.6
	what       string // of the kind "PUT /1/foo"
}

// A tally is how many there are, and which is the first.
type tally struct {
	Count int    `json:"count"`
	First uint64 `json:"first,omitempty"`
	Last  uint64 `json:"last,omitempty"`
	What  string `json:"what,omitempty"` // the first
}

func (t *tally) see(o oldEntry) {
	if t.Count == 0 {
		t.First, t.What = o.index, o.what
	}
	t.Count++
	t.Last = o.index
}

// judgeEntry finds out what newer etcds do with an entry. 3.7 reads every one as it reads its own, and dies if it cannot, or if that
// has no id: the same is done here, with its own types. 3.6 translates what 3.5 itself wrote in the form of etcd 2, the name and
// addresses of a member and the version, and dies of every other.
func judgeEntry(index uint64, data []byte) oldEntry {
	o := oldEntry{index: index}
	if len(data) == 0 {
		return o // a new leader's
	}
	r := &pb.InternalRaftRequest{}
	err := proto.Unmarshal(data, r)
	o.unreadable = err != nil || r.GetID() == 0 && r.GetHeader() == nil
	method, path, old := v2Request(data)
	if old {
		o.what = word(method + " " + path)
		o.disallowed = !translated(method, path)
	} else if o.unreadable {
		o.what = "an entry that only an older etcd can read"
	}
	return o
}

// translated reports whether etcd 3.6 knows what to make of a request of etcd 2.
func translated(method, path string) bool {
	attributes := regexp.MustCompile(`/0/members/[[:xdigit:]]{1,16}/attributes`)
	return method == http.MethodPut && (path == "/0/version" || attributes.MatchString(path))
}

// The fields of the requests, which etcd 3.7 has no types for any more: what etcd 2 wrote into the log, and where etcd 3 kept it in
// a request of its own.
const (
	v2Field     protowire.Number = 2
	methodField protowire.Number = 2
	pathField   protowire.Number = 3
)

// v2Request finds a request of etcd 2 in an entry, as it is or inside of one of etcd 3. Both have field 2: there it is the method.
func v2Request(data []byte) (method, path string, found bool) {
	second, ok := field(data, v2Field)
	if !ok {
		return "", "", false
	}
	if isMethod(second) {
		p, _ := field(data, pathField)
		return string(second), string(p), true
	}
	m, ok := field(second, methodField)
	if !ok || !isMethod(m) {
		return "", "", false
	}
	p, _ := field(second, pathField)
	return string(m), string(p), true
}

func isMethod(b []byte) bool {
	for _, m := range []string{
		http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead, "QGET", "SYNC",
	} {
		if bytes.Equal(b, []byte(m)) {
			return true
		}
	}
	return false
}

// field gives the bytes of the first field of that number, if the message can be taken apart up to there.
func field(data []byte, number protowire.Number) ([]byte, bool) {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, false
		}
		data = data[n:]
		if num == number && kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(data)
			return v, n >= 0
		}
		if n = protowire.ConsumeFieldValue(num, kind, data); n < 0 {
			return nil, false
		}
		data = data[n:]
	}
	return nil, false
}

// text is how a finding tells of them.
func (t tally) text() string {
	if t.Count == 1 {
		return fmt.Sprintf("1 entry (%d: %s)", t.First, t.What)
	}
	return fmt.Sprintf("%d entries (from %d: %s; to %d)", t.Count, t.First, t.What, t.Last)
}
