package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

const (
	keyBytes = 2500            // of the database for each key, about
	patience = 2 * time.Minute // until the source serves
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
	if err := s.fill(ctx, size); err != nil {
		return nil, errors.Join(err, s.process.Stop())
	}
	return s, nil
}

// fill makes a database of about size bytes: records of this kind leave a third of its pages empty.
func (s *source) fill(ctx context.Context, size int64) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := s.await(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: filling a database of %d MiB\n", size>>20)
	if _, err := kubedata.Fill(ctx, c, kubedata.Options{Keys: int(size / keyBytes), Bytes: size * 2 / 3, Seed: 1, Leases: 1000}); err != nil {
		return err
	}
	status, err := c.Status(ctx, s.endpoint)
	if err != nil {
		return err
	}
	s.dbSize = status.DbSize
	return nil
}

// await waits until the member serves.
func (s *source) await(ctx context.Context, c *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		try, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.Get(try, "x")
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			return s.process.Err()
		case <-ctx.Done():
			return fmt.Errorf("the source does not serve: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
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
