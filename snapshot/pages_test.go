package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestAFileWithoutAListIsCheckedAsWhole: what finds its free pages finds what is wrong with the others.
func TestAFileWithoutAListIsCheckedAsWhole(t *testing.T) {
	t.Parallel()
	const branch, leaf, header, element = 1, 2, 16, 16
	whole := contents(t, generate(t, 20_000, 20_000, 100))
	body := whole[:len(whole)-sha256.Size]
	kind := func(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at+8:]) }
	find := func(want uint16) int {
		for at := 2 * page; at < len(body); at += page {
			if kind(body, at) == want && binary.LittleEndian.Uint16(body[at+10:]) > 1 {
				return at
			}
		}
		t.Fatalf("no page of kind %d", want)
		return 0
	}
	aBranch, aLeaf := find(branch), find(leaf)
	for says, harm := range map[string]func(b []byte){
		"": func([]byte) {},
		"multiple references": func(b []byte) { // its second child is its first
			copy(b[aBranch+header+element+8:aBranch+header+element+16], b[aBranch+header+8:])
		},
		"needs to be": func(b []byte) { // its first key comes after its second
			at := aLeaf + header
			b[at+int(binary.LittleEndian.Uint32(b[at+4:]))] = 0xff
		},
		"page 1: multiple references": func(b []byte) { // the second of the first pages is called a leaf, and is in the tree
			binary.LittleEndian.PutUint16(b[page+8:], leaf)
			binary.LittleEndian.PutUint64(b[aBranch+header+8:], 1)
		},
	} {
		info, err := inspectHarmed(t, body, harm)
		switch {
		case says == "":
			if err != nil || info.Pages != int64(len(body)/page) {
				t.Errorf("a sound file: %+v, %v", info, err)
			}
		case !errors.Is(err, snapshot.ErrDamaged), !strings.Contains(err.Error(), says) && !strings.Contains(err.Error(), "kills the process"): // bbolt may die of what it has just found
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// TestAListOfFreePagesIsHeldAgainstTheTree: etcd's files have none, and finding their free pages is the check already. Where there is one, bbolt believes it,
// so that only its whole check finds what is neither free nor in use, or both.
func TestAListOfFreePagesIsHeldAgainstTheTree(t *testing.T) {
	t.Parallel()
	const freelist, flagsAt, countAt, idsAt = 0x10, 8, 10, 16
	whole := contents(t, generate(t, 20_000, 20_000, 100))
	name := filepath.Join(t.TempDir(), "listed")
	if err := os.WriteFile(name, whole[:len(whole)-sha256.Size], 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(name, 0o600, nil) // writes a list
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	body := must[[]byte](t)(os.ReadFile(name))
	meta := func(n int) []byte { return body[n*page+16:] }
	newest := meta(0)
	const freelistAt, txidAt = 32, 48
	if binary.LittleEndian.Uint64(meta(1)[txidAt:]) > binary.LittleEndian.Uint64(newest[txidAt:]) {
		newest = meta(1)
	}
	list := int(binary.LittleEndian.Uint64(newest[freelistAt:])) * page
	count := binary.LittleEndian.Uint16(body[list+countAt:])
	if binary.LittleEndian.Uint16(body[list+flagsAt:]) != freelist || count < 2 {
		t.Fatalf("no list of free pages at %d: %d", list, count)
	}
	for says, harm := range map[string]func(b []byte){
		"":                    func([]byte) {},
		"unreachable unfreed": func(b []byte) { binary.LittleEndian.PutUint16(b[list+countAt:], count-1) },
		"already freed":       func(b []byte) { copy(b[list+idsAt+8:list+idsAt+16], b[list+idsAt:]) },
		"reachable freed":     func(b []byte) { copy(b[list+idsAt:list+idsAt+8], newest[16:24]) }, // the root
	} {
		info, err := inspectHarmed(t, body, harm)
		if says == "" && (err != nil || info.FreePages == 0) || says != "" && (!errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), says)) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// inspectHarmed inspects a snapshot file with a harmed copy of body, under a digest made for the harm.
func inspectHarmed(t *testing.T, body []byte, harm func(b []byte)) (*snapshot.Info, error) {
	t.Helper()
	b := bytes.Clone(body)
	harm(b)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, withTrailer(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{})
}
