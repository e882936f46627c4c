package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// source is the etcd that is backed up, and the keys that its backups are sealed with: X25519 for both sides, because the age of many
// distributions knows no other.
type source struct {
	endpoint              string
	process               *member.Process
	dbSize                int64
	identity, recipients  string
	bucket, sealed, saved string // for the restores: a directory sink, its sealed file, and the same as a plain snapshot
}

func startSource(ctx context.Context, p programs, dir string, size int64) (*source, error) {
	ports, err := member.FreePorts(2)
	if err != nil {
		return nil, err
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	s := &source{endpoint: client, identity: filepath.Join(dir, "age.key"), bucket: filepath.Join(dir, "bucket")}
	s.recipients = s.identity + ".pub"
	if err := os.Mkdir(s.bucket, 0o700); err != nil {
		return nil, err
	}
	if out, err := exec.Command(p.lifeboat, "key", "new", "--classic", s.identity).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making keys: %w\n%s", err, out)
	}
	s.process, err = member.Start(ctx, member.Spec{
		Binary: p.etcd, Name: "source", DataDir: filepath.Join(dir, "source"), ClientURL: client, PeerURL: peer,
		InitialCluster: map[string]string{"source": peer}, Token: "bench", QuotaBytes: 16 << 30, Args: []string{"--unsafe-no-fsync"},
	})
	if err != nil {
		return nil, err
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{client}, DialTimeout: patience})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	fmt.Fprintf(os.Stderr, "bench: filling a database of %d MiB\n", size>>20)
	if _, err := kubedata.Fill(ctx, c, kubedata.Options{Keys: int(size / 2500), Bytes: size, Seed: 1, Leases: 1000}); err != nil {
		return nil, err
	}
	status, err := c.Status(ctx, client)
	if err != nil {
		return nil, err
	}
	s.dbSize = status.DbSize
	return s, s.settle(ctx)
}

// settle waits until the member has written out what it buffered, so that the first contestant pays for no more than the last.
func (s *source) settle(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "sync").CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w\n%s", err, out)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Second):
		return nil
	}
}

// prepare takes the backup that the restores begin from, and opens it for the way that begins from an opened snapshot.
func (s *source) prepare(p programs, dir string) error {
	if out, err := s.backup(p, s.bucket, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("lifeboat backup: %w\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(s.bucket, "v1/*/snapshots/*.age"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the bucket should hold one sealed file: %v %v", found, err)
	}
	s.sealed, s.saved = found[0], filepath.Join(dir, "saved.db")
	open := shell(fmt.Sprintf("%s -d -i %s %s | %s -d -q -o %s", p.age, s.identity, s.sealed, p.zstd, s.saved))
	if out, err := open.CombinedOutput(); err != nil {
		return fmt.Errorf("opening the backup with stock tools: %w\n%s", err, out)
	}
	return nil
}
