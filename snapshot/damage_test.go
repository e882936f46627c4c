package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const page = 4096

// harm makes a damaged copy of a body, in one of the ways disks, networks and people have.
func harm(r *rand.Rand, body []byte, way int) (name string, damaged []byte) {
	pages := len(body) / page
	b := append([]byte(nil), body...)
	switch way % 7 {
	case 0:
		return "cut off at a page", b[:page*(1+r.IntN(pages-1))]
	case 1:
		clear(b[:2*page])
		return "both meta pages zeroed", b
	case 2:
		at := page * (2 + r.IntN(pages-2))
		clear(b[at : at+page])
		return "a page zeroed", b
	case 3:
		// Page headers: type, count, overflow.
		at := page*(2+r.IntN(pages-2)) + 8 + r.IntN(8)
		b[at] ^= 1 << r.IntN(8)
		return "a bit flipped in a page's header", b
	case 4:
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return "a bit flipped anywhere", b
	case 5:
		from, to := page*(2+r.IntN(pages-2)), page*(2+r.IntN(pages-2))
		copy(b[to:to+page], b[from:from+page])
		return "a page in another's place", b
	default:
		for i := range b[page*2:] {
			b[page*2+i] = byte(r.Uint32())
		}
		return "noise behind the meta pages", b
	}
}

// TestDamagedFileKillsOnlyTheChild gives inspection files with a trailer made for the damage, so that everything falls to bbolt and
// our own reading. What hits a free page or a value passes, as bbolt has no checksums. Nothing may hang, take the machine's
// memory, or be called anything but damage.
func TestDamagedFileKillsOnlyTheChild(t *testing.T) {
	t.Parallel()
	cases := 28
	if lab.Long() {
		cases = 210
	}
	path, _ := lab.Snapshot34(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body := whole[:len(whole)-sha256.Size]
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	target := filepath.Join(t.TempDir(), "damaged")
	died, refusedByCheck, passed := 0, 0, 0
	for way := range cases {
		name, b := harm(r, body, way)
		if err := os.WriteFile(target, withTrailer(b), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := snapshot.Inspect(t.Context(), file(t, target), snapshot.InspectOptions{})
		switch {
		case err == nil && (strings.Contains(name, "flipped") || strings.HasPrefix(name, "a page")):
			passed++
		case !errors.Is(err, snapshot.ErrDamaged):
			t.Errorf("seed %d, case %d, %s: %v, %+v", seed, way, name, err, info)
		case strings.Contains(err.Error(), "kills the process"):
			died++
		default:
			refusedByCheck++
		}
		// The same damage under the original's trailer is found by the digest alone, whatever becomes of the child.
		if err := os.WriteFile(target, append(b, whole[len(body):]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.Inspect(t.Context(), file(t, target), snapshot.InspectOptions{}); !errors.Is(err, snapshot.ErrDamaged) && string(b) != string(body) {
			t.Errorf("seed %d, case %d, %s, original trailer: %v", seed, way, name, err)
		}
	}
	lab.Report(t, "%d damaged files, seed %d: %d killed the child, %d were refused, %d had only their contents changed", cases, seed, died, refusedByCheck, passed)
	if died == 0 {
		t.Error("no file killed the child: the test tests nothing")
	}
}

func TestFilesThatAreNoSnapshotsAreDamaged(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"empty": {}, "only a trailer": withTrailer(nil), "text": []byte("hello"), "noise": withTrailer(pseudo(16 * page)),
		"too small for two pages": withTrailer(pseudo(512)),
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{}); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamageThatWouldTakeAllMemoryIsStopped makes page headers claim a billion pages more, and a tree that contains itself.
func TestDamageThatWouldTakeAllMemoryIsStopped(t *testing.T) {
	t.Parallel()
	whole := contents(t, generate(t, 20_000, 20_000, 100))
	body := whole[:len(whole)-sha256.Size]
	endless, self := bytes.Clone(body), bytes.Clone(body)
	const branch, leaf = 1, 2
	trees := 0
	for at := 2 * page; at < len(body); at += page {
		count := int(binary.LittleEndian.Uint16(body[at+10:]))
		switch binary.LittleEndian.Uint16(body[at+8:]) {
		case leaf:
			binary.LittleEndian.PutUint32(endless[at+12:], 1<<30)
		case branch:
			for i := range count { // of each element, the page it points to
				binary.LittleEndian.PutUint64(self[at+16+16*i+8:], uint64(at/page))
			}
			trees++
		}
	}
	if trees == 0 {
		t.Fatal("the file has no branch pages")
	}
	for name, b := range map[string][]byte{"endless pages": endless, "a tree in itself": self} {
		path := filepath.Join(t.TempDir(), "damaged")
		if err := os.WriteFile(path, withTrailer(b), 0o600); err != nil {
			t.Fatal(err)
		}
		used, answer := inspectMeasured(t, path)
		if !strings.Contains(answer, "damaged: ") || used > 2<<30 {
			t.Errorf("%s: %q, with %d MiB", name, answer, used>>20)
		}
		lab.Report(t, "%s: %d MiB: %s", name, used>>20, answer)
	}
	path := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(path, withTrailer(self), 0o600); err != nil {
		t.Fatal(err)
	}
	if revision, err := snapshot.Head(t.Context(), file(t, path)); !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("the head of a tree in itself: %d, %v", revision, err)
	}
}

// TestTheCheckOfTheStructureHasTheFirstWord damages a page so that reading the contents fails long before the check comes to
// its end, or dies of it: whichever is first, what is told is what the check found.
func TestTheCheckOfTheStructureHasTheFirstWord(t *testing.T) {
	t.Parallel()
	whole := contents(t, generate(t, 20_000, 20_000, 100))
	name := filepath.Join(t.TempDir(), "listed")
	if err := os.WriteFile(name, whole[:len(whole)-sha256.Size], 0o600); err != nil {
		t.Fatal(err)
	}
	// With a list of free pages in the file, bbolt does not go through all pages to find them, in which it may die of a fault by itself.
	db, err := bbolt.Open(name, 0o600, nil)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	body := must[[]byte](t)(os.ReadFile(name))
	const leaf, element, key = 2, 16, 17
	var oldest, newest int // the leaf pages with these records
	var low, high []byte
	at := func(b []byte, page, i int) []byte {
		e := page + element + element*i
		k := e + int(binary.LittleEndian.Uint32(b[e+4:]))
		return b[k:min(len(b), k+key)]
	}
	for p := 2 * page; p < len(body); p += page {
		count := int(binary.LittleEndian.Uint16(body[p+10:]))
		if binary.LittleEndian.Uint16(body[p+8:]) != leaf || count == 0 || binary.LittleEndian.Uint32(body[p+element+8:]) != key {
			continue
		}
		if first := at(body, p, 0); oldest == 0 || bytes.Compare(first, low) < 0 {
			oldest, low = p, first
		}
		if last := at(body, p, count-1); newest == 0 || bytes.Compare(last, high) > 0 {
			newest, high = p, last
		}
	}
	if oldest == 0 || newest == 0 || oldest == newest {
		t.Fatalf("leaf pages at %d and %d", oldest, newest)
	}
	last := int(binary.LittleEndian.Uint16(body[newest+10:])) - 1
	noRevision := func(b []byte) { at(b, newest, last)[8] = 'x' }
	deadly := func(b []byte) { // its value, and in it the key, end where the file is over and the mapping is not
		e := newest + element + element*last
		value := e + int(binary.LittleEndian.Uint32(b[e+4:])) + key
		size := len(b) + 2*page - value
		binary.LittleEndian.PutUint32(b[e+12:], uint32(size))
		copy(b[value:], protowire.AppendVarint([]byte{0x0a}, uint64(size-5)))
	}
	disorder := func(b []byte) { copy(at(b, oldest, 1), at(b, oldest, 0)) }
	for name, c := range map[string]struct {
		do   []func(b []byte)
		says string
	}{
		"contents":                  {[]func(b []byte){noRevision}, "are no revision"},
		"contents that kill":        {[]func(b []byte){deadly}, "kills the process"},
		"order":                     {[]func(b []byte){disorder}, "bbolt check"},
		"contents, order":           {[]func(b []byte){noRevision, disorder}, "bbolt check"},
		"contents that kill, order": {[]func(b []byte){deadly, disorder}, "bbolt check"},
	} {
		b := bytes.Clone(body)
		for _, do := range c.do {
			do(b)
		}
		path := filepath.Join(t.TempDir(), "damaged")
		if err := os.WriteFile(path, withTrailer(b), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{})
			if !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
