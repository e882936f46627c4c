package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// contents is everything in a database, by bucket/key.
func contents(t testing.TB, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			all[string(name)] = ""
			return b.ForEach(func(k, v []byte) error {
				all[string(name)+"/"+string(k)] = string(v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func dbOf(m MemberResult) string { return filepath.Join(m.Dir, "member", "snap", "db") }

// TestNothingButTheMembershipIsChanged compares every record of every bucket before and after.
func TestNothingButTheMembershipIsChanged(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	before := contents(t, path)
	members := newMembers(t, "http", "a", "b", "c")
	for _, noBump := range []bool{true, false} {
		src := fileSource(t, path)
		res := mustRun(t, Plan{Source: src, Members: members, Out: filepath.Join(t.TempDir(), "out"), NoBump: noBump}, Deps{})
		after := contents(t, dbOf(res.Members[1]))
		changed := map[string]bool{}
		for _, k := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
			was, old := before[k]
			is, now := after[k]
			if was != is || old != now {
				changed[k] = true
			}
		}
		want := []string{"meta/confState", "meta/consistent_index", "meta/term"}
		for k := range before {
			if strings.HasPrefix(k, "members/") {
				want = append(want, k)
			}
		}
		for _, m := range res.Members {
			want = append(want, fmt.Sprintf("members/%x", m.ID))
			if v := after[fmt.Sprintf("members/%x", m.ID)]; !strings.Contains(v, `"`+m.Name+`"`) {
				t.Errorf("member %s is stored as %s", m.Name, v)
			}
		}
		if !noBump {
			want = append(want, "meta/scheduledCompactRev", "key/"+string(revisionKey(src.Revision+BumpStep)))
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, want) {
			t.Errorf("without bump %v, these differ: %q\nwant %q", noBump, got, want)
		}
	}
}

// TestDeadPagesBecomeHoles restores a database of which most is dead: the members' files are equal byte by byte, take little
// room, carry nothing of what was deleted, and serve.
func TestDeadPagesBecomeHoles(t *testing.T) {
	t.Parallel()
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1})
	cli := source.Client(t)
	for i := range 64 {
		if _, err := cli.Put(t.Context(), fmt.Sprint("secret/", i), strings.Repeat("long gone ", 50_000)); err != nil {
			t.Fatal(err)
		}
	}
	del, err := cli.Delete(t.Context(), "secret/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Compact(t.Context(), del.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	populate(t, cli, 200)
	path := lab.SaveSnapshot(t, cli)
	src := fileSource(t, path)
	for _, d := range []Deps{{}, {named: true, StartsHere: true}} {
		res := mustRun(t, Plan{Source: src, Members: newMembers(t, "http", "a", "b", "c"), Out: filepath.Join(t.TempDir(), "out"), NoBump: true}, d)
		digests := map[string]bool{}
		for _, m := range res.Members {
			sum, holds, used := look(t, dbOf(m), []byte("long gone"))
			digests[sum] = true
			if holds {
				t.Errorf("%s still holds what was deleted from the source", m.Dir)
			}
			if used > res.Bytes/2 {
				t.Errorf("%s takes %d of %d bytes", m.Dir, used, res.Bytes)
			}
			equalHash(t, dbOf(m), src.Hash)
		}
		if len(digests) != 1 {
			t.Errorf("the members' files differ: %v", digests)
		}
		if _, holds, _ := look(t, path, []byte("long gone")); !holds {
			t.Error("the snapshot holds nothing deleted, so the test shows nothing")
		}
		b := boot(t, "3.7", res.Members...)
		for i := range 64 { // into the holes
			if _, err := b.any.Put(t.Context(), fmt.Sprint("new/", i), strings.Repeat("new ", 50_000)); err != nil {
				t.Fatal(err)
			}
		}
		b.wantHash(t, src.Hash)
	}
}

// look reads a file: its digest, whether it holds some bytes, and how much room it takes.
func look(t *testing.T, path string, needle []byte) (sum string, holds bool, used int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no block count here")
	}
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:]), bytes.Contains(data, needle), sys.Blocks * 512
}

// TestAFileIsInspectedWhileItsEditorHasItOpen to write, and is edited after: the editor that has looked keeps the file locked until it ends, and nothing is
// written before the order.
func TestAFileIsInspectedWhileItsEditorHasItOpen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, look := range []bool{false, true} {
		f := plainCopy(t, nil)
		before := content(t, f)
		e, err := startEditor(ctx, f, look)
		if err != nil {
			t.Fatal(err)
		}
		defer e.stop()
		info, err := snapshot.Inspect(ctx, f, snapshot.InspectOptions{Raw: true, SkipDigest: true, SharesLock: true})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content(t, f), before) {
			t.Errorf("the file was changed before there was an order (look=%v)", look)
		}
		done, err := e.apply(ctx, order{
			Hash: snapshot.HashPoint{Revision: info.Hash.Revision, CompactRevision: info.Hash.CompactRevision}, Want: info.Hash.Hash, Newest: info.Revision,
		})
		if err != nil || done.Hash != info.Hash.Hash {
			t.Errorf("edited after the inspection: %+v, %v (look=%v)", done, err, look)
		}
	}
}

// TestAnEditorThatAFileKillsIsNotInTheWay of the inspection, which knows best what is wrong: the lock outlives the editor.
func TestAnEditorThatAFileKillsIsNotInTheWay(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, look := range []bool{false, true} {
		f := plainCopy(t, func(b []byte) {
			for _, meta := range [][]byte{b[:4096], b[4096:8192]} {
				root := binary.LittleEndian.Uint64(meta[32:]) // header of 16 bytes; magic, version, page size, flags; root
				clear(b[root*4096+8 : root*4096+16])          // what kind of page it is, and of how many
			}
		})
		e, err := startEditor(ctx, f, look)
		if err == nil {
			_, err = e.apply(ctx, order{})
		}
		if err == nil {
			t.Fatal("a file without a root is edited")
		}
		if _, inspection := snapshot.Inspect(ctx, f, snapshot.InspectOptions{Raw: true, SkipDigest: true, SharesLock: true}); !errors.Is(inspection, snapshot.ErrDamaged) {
			t.Errorf("inspected after its editor died (%v): %v (look=%v)", err, inspection, look)
		}
	}
}

// plainCopy is the database of oldFile, changed.
func plainCopy(t *testing.T, change func(b []byte)) *os.File {
	t.Helper()
	path, _ := oldFile(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:len(data)-trailerSize]
	if change != nil {
		change(data)
	}
	f := plainFile(t, 0)
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAnEditThatGoesWrongEndsTheRestore gives the editing process a file that kills it, and orders that do not fit the file.
func TestAnEditThatGoesWrongEndsTheRestore(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T, change func(b []byte) []byte) *os.File {
		t.Helper()
		name := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(name, change(bytes.Clone(data[:len(data)-trailerSize])), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	for name, change := range map[string]func(b []byte) []byte{
		"no database": func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
		"cut":         func(b []byte) []byte { return b[:len(b)/8/4096*4096] },
		"empty":       func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := startEditor(t.Context(), open(t, change), true)
			if err == nil {
				defer e.stop()
				_, err = e.apply(t.Context(), order{Newest: 1})
			}
			if err == nil {
				t.Error("it was edited")
			}
		})
	}
	t.Run("pages without end", func(t *testing.T) {
		t.Parallel()
		const header, leaf = 16, 2
		e, err := startEditor(t.Context(), open(t, func(b []byte) []byte {
			for at := 2 * 4096; at < len(b); at += 4096 {
				if binary.LittleEndian.Uint16(b[at+header-8:]) == leaf {
					binary.LittleEndian.PutUint32(b[at+header-4:], 1<<30)
				}
			}
			return b
		}), true)
		if err == nil {
			e.stop()
		}
		if !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), "memory") {
			t.Errorf("got %v, want that it takes too much memory", err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		e, err := startEditor(t.Context(), open(t, func(b []byte) []byte { return b }), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = e.out.Peek(1) // a signal takes its time: the process has ended when it says no more
		_, err = e.apply(t.Context(), order{Newest: 1})
		if err == nil || errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), "enough memory") {
			t.Errorf("got %v, want a lack of memory and nothing about the file", err)
		}
	})
	src := fileSource(t, path)
	fine := order{Want: src.Hash.Hash, Newest: src.Revision}
	fine.Hash.Revision, fine.Hash.CompactRevision = src.Hash.Revision, src.Hash.CompactRevision
	for says, change := range map[string]func(o *order){
		"":                    func(*order) {},
		"HashKV of what":      func(o *order) { o.Want++ },
		"the newest":          func(o *order) { o.Newest++ },
		"the newest revision": func(o *order) { o.Newest, o.Bump = o.Newest+1, 10 },
		"put":                 func(o *order) { o.Put = []record{{"members", nil, nil}} },
	} {
		t.Run("order "+says, func(t *testing.T) {
			t.Parallel()
			e, err := startEditor(t.Context(), open(t, func(b []byte) []byte { return b }), true)
			if err != nil {
				t.Fatal(err)
			}
			defer e.stop()
			o := fine
			change(&o)
			_, err = e.apply(t.Context(), o)
			if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want %q", err, says)
			}
		})
	}
}
