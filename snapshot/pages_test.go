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
		b := bytes.Clone(body)
		harm(b)
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, withTrailer(b), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{})
		if says == "" && (err != nil || info.FreePages == 0) || says != "" && (!errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), says)) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}
