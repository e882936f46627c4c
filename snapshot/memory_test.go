package snapshot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/peak"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// generate makes a snapshot file of that many records of that many keys, without the hours etcd would take for a large one.
func generate(t *testing.T, records, keys, valueSize int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generated")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true, NoGrowSync: true})
	if err != nil {
		t.Fatal(err)
	}
	value := pseudo(valueSize)
	for at := 0; at < records && err == nil; at += 5000 {
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("key"))
			if err == nil {
				b.FillPercent = 0.9
				_, err = tx.CreateBucketIfNotExists([]byte("meta"))
			}
			for i := at; i < min(at+5000, records) && err == nil; i++ {
				rev := make([]byte, 17)
				binary.BigEndian.PutUint64(rev, uint64(i+2))
				rev[8] = '_'
				var kv []byte
				kv, err = proto.Marshal(&mvccpb.KeyValue{
					Key: fmt.Appendf(nil, "/registry/pods/namespace-%03d/pod-%08d", i%keys%100, i%keys), Value: value,
					CreateRevision: int64(i + 2), ModRevision: int64(i + 2), Version: 1,
				})
				if err == nil {
					err = b.Put(rev, kv)
				}
			}
			return err
		})
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil {
		_, err = f.WriteAt(h.Sum(nil), n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// inspectFile is Inspect in a process of its own, so that it can be measured with its child.
func inspectFile(ctx context.Context, args []string, _ io.Reader, stdout, _ io.Writer) int {
	f, err := os.Open(args[0])
	if err != nil {
		fmt.Fprintln(stdout, err)
		return 1
	}
	info, err := snapshot.Inspect(ctx, f, snapshot.InspectOptions{Prefixes: true})
	switch {
	case errors.Is(err, snapshot.ErrDamaged):
		fmt.Fprintln(stdout, "damaged:", err)
	case err != nil:
		fmt.Fprintln(stdout, err)
	default:
		fmt.Fprintf(stdout, "%d keys in %d records, hash %d\n", info.LiveKeys, info.Records, info.Hash.Hash)
	}
	return 0
}

// inspectMeasured tells the highest anonymous memory of the inspecting child, in bytes, and what came of it.
func inspectMeasured(t *testing.T, path string) (int64, string) {
	t.Helper()
	var out bytes.Buffer
	cmd := child.Command(t.Context(), "inspect-file", path)
	cmd.Stdout = &out
	used, err := peak.Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if used.Anon["main"] > 64<<20 {
		t.Errorf("the process that only asked used %d MiB", used.Anon["main"]>>20)
	}
	return used.Anon[snapshot.InspectRoleName], strings.TrimSpace(out.String())
}

// TestInspectionTakesLittleMemory measures a file with many small keys, where memory grows most, and in full a file of 1.6 GiB.
func TestInspectionTakesLittleMemory(t *testing.T) {
	for _, c := range []struct {
		records, keys, value int
		limit                int64
		full                 bool
	}{
		{records: 300_000, keys: 200_000, value: 64, limit: 96 << 20},
		{records: 1_000_000, keys: 800_000, value: 1400, limit: 150 << 20, full: true},
	} {
		if c.full && !lab.Long() {
			continue
		}
		f := generate(t, c.records, c.keys, c.value)
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		used, answer := inspectMeasured(t, f.Name())
		if !strings.HasPrefix(answer, fmt.Sprintf("%d keys in %d records", c.keys, c.records)) {
			t.Errorf("got %q", answer)
		}
		if used == 0 || used > c.limit {
			t.Errorf("inspecting %d MiB took %d MiB of memory, more than %d", st.Size()>>20, used>>20, c.limit>>20)
		}
		lab.Report(t, "%d MiB with %d keys in %d records: %d MiB of memory", st.Size()>>20, c.keys, c.records, used>>20)
	}
}
