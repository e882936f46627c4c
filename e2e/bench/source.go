package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

const (
	keyBytes = 2500            // of the database for each key, about
	patience = 5 * time.Minute // until the source serves: it reads all of its database first

	// logEntries is how many entries of its log etcd takes between two snapshots of its own, and so the most that it keeps in memory once it was started
	// again. Those of the filling have a quarter of a megabyte each, where Kubernetes writes one object with each.
	logEntries = 1000
)

// source is an etcd that is backed up.
type source struct {
	database
	endpoint      string
	spec          member.Spec
	process       *member.Process
	client        *clientv3.Client
	dbSize, inUse int64 // bytes
}

// startSource starts an etcd below dir and fills it.
func startSource(ctx context.Context, etcd, dir, name string, d database) (*source, error) {
	ports, err := member.FreePorts(2)
	if err != nil {
		return nil, err
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	s := &source{database: d, endpoint: client, spec: member.Spec{
		Binary: etcd, Name: name, DataDir: filepath.Join(dir, name), ClientURL: client, PeerURL: peer,
		InitialCluster: map[string]string{name: peer}, Token: "bench", QuotaBytes: 16 << 30,
		Args: []string{"--unsafe-no-fsync", "--snapshot-count=" + strconv.Itoa(logEntries)}, // filling is not measured
	}}
	if s.client, err = clientv3.New(clientv3.Config{Endpoints: []string{client}, Logger: zap.NewNop()}); err != nil {
		return nil, err
	}
	if err := s.generate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the source %s: %w", name, err), s.stop())
	}
	return s, nil
}

// generate makes the database. The etcd that is measured afterwards has been started on it, as it would be after an upgrade of its node, and holds in memory
// the index of its keys and next to nothing of its log, of which that of a Kubernetes cluster holds some 20 MB by etcd 3.6's default.
func (s *source) generate(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	stats, err := kubedata.Fill(ctx, s.client, kubedata.Options{
		// Records of this kind leave a third of its pages empty.
		Keys: int(s.mib << 20 / keyBytes), Bytes: s.mib << 20 * 2 / 3, Seed: 1, Leases: 1000,
	})
	if err != nil {
		return err
	}
	if s.half {
		if err := s.halve(ctx, stats.Revision/2); err != nil {
			return err
		}
	}
	if err := s.passLog(ctx); err != nil {
		return err
	}
	if err := s.process.Stop(); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.look(ctx)
}

// passLog has etcd make a snapshot of its own, by more small entries than it takes for that, which leave nothing in the database. What it would otherwise
// read from its log, 0 to 0.2 GB as it happens, makes its garbage collector run less often.
func (s *source) passLog(ctx context.Context) error {
	for range logEntries {
		lease, err := s.client.Grant(ctx, 3600)
		if err != nil {
			return err
		}
		if _, err := s.client.Revoke(ctx, lease.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) start(ctx context.Context) (err error) {
	if s.process, err = member.Start(ctx, s.spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		try, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.client.Get(try, "x")
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			return s.process.Err()
		case <-ctx.Done():
			return fmt.Errorf("does not serve: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// halve deletes what was written until a revision, and its history. Records lie in the order of their revisions: what is oldest fills whole pages, and
// these become free. Nothing is defragmented.
func (s *source) halve(ctx context.Context, until int64) error {
	const prefix = "/registry/"
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	var head int64
	for from := prefix; ; {
		page, err := s.client.Get(ctx, from, end, clientv3.WithKeysOnly(), clientv3.WithLimit(10_000))
		if err != nil {
			return err
		}
		var deletes []clientv3.Op
		for _, kv := range page.Kvs {
			if kv.ModRevision <= until {
				deletes = append(deletes, clientv3.OpDelete(string(kv.Key)))
			}
		}
		for len(deletes) > 0 {
			n := min(len(deletes), 128) // what etcd takes at once
			done, err := s.client.Txn(ctx).Then(deletes[:n]...).Commit()
			if err != nil {
				return err
			}
			head, deletes = done.Header.Revision, deletes[n:]
		}
		if !page.More {
			_, err := s.client.Compact(ctx, head, clientv3.WithCompactPhysical())
			return err
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// look asks how large the database has become, and whether it is as it should be.
func (s *source) look(ctx context.Context) error {
	status, err := s.client.Status(ctx, s.endpoint)
	if err != nil {
		return err
	}
	s.dbSize, s.inUse = status.DbSize, status.DbSizeInUse
	if used := float64(s.inUse) / float64(s.dbSize); s.half && (used < 0.4 || used > 0.6) || !s.half && used < 0.9 {
		return fmt.Errorf("of its %d bytes %d are in use, which is not what was asked for", s.dbSize, s.inUse)
	}
	return nil
}

// stop ends it and removes what it has written.
func (s *source) stop() error {
	err := s.client.Close()
	if s.process != nil {
		err = errors.Join(err, s.process.Stop())
	}
	return errors.Join(err, os.RemoveAll(s.spec.DataDir))
}
