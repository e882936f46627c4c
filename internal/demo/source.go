package demo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	members = 3

	// What the cluster is filled with. At least 20,000 keys are left of it.
	firstKeys = 22_000
	churned   = 6_000
	leases    = 300
	seed      = 2026

	// laterWrites are made after the backup, and so lost.
	laterWrites = 25

	// deadWait is how long a read of a cluster without quorum is waited for.
	deadWait = 3 * time.Second
)

// startCluster brings up three members and fills them.
func (d *demo) startCluster(ctx context.Context) error {
	s := d.story
	s.step("A cluster")
	if err := os.Mkdir(d.path("cluster"), dirMode); err != nil {
		return err
	}
	held, err := throwaway.Hold(2 * members)
	if err != nil {
		return err
	}
	var nodes []*throwaway.Node
	for i := range members {
		name := fmt.Sprintf("etcd-%d", i+1)
		nodes = append(nodes, &throwaway.Node{
			Name: name, ClientURL: held.URL(2 * i), PeerURL: held.URL(2*i + 1),
			DataDir: d.path("cluster", name), LogFile: d.path("cluster", name+".log"),
		})
	}
	if d.cluster, err = throwaway.New(d.path("cluster"), "lifeboat-demo", held, nodes); err != nil {
		return err
	}
	took, err := d.serve(ctx)
	if err != nil {
		return err
	}
	s.say("%d members of etcd %s, with certificates among themselves and for clients; serving after %s", members, nodes[0].Version, took)
	began := time.Now()
	stats, err := kubedata.Fill(ctx, nodes[0].Client, kubedata.Options{Keys: firstKeys, Churn: churned, Leases: leases, Seed: seed, Compact: true})
	if err != nil {
		return err
	}
	granted, err := nodes[0].Client.Leases(ctx)
	if err != nil {
		return err
	}
	s.say("filled as Kubernetes would: %s keys (%s), %d leases, %s updates and deletions, compacted; took %s",
		grouped(int64(stats.Keys)), mib(stats.Bytes), len(granted.Leases), grouped(churned), seconds(time.Since(began)))
	return nil
}

// serve starts every member and waits until all serve.
func (d *demo) serve(ctx context.Context) (took string, err error) {
	began := time.Now()
	if err := d.cluster.Start(ctx, throwaway.How{}); err != nil {
		return "", err
	}
	_, err = d.cluster.Serving(ctx, serveTimeout)
	return seconds(time.Since(began)), err
}

// destroy kills two members and deletes their data, then the third's.
func (d *demo) destroy(ctx context.Context) error {
	s, c := d.story, d.cluster
	s.step("The disaster")
	for range laterWrites {
		put, err := c.Nodes[0].Client.Put(ctx, "/registry/configmaps/default/written-after-the-backup", time.Now().String())
		if err != nil {
			return fmt.Errorf("write after the backup: %w", err)
		}
		d.head = put.Header.Revision
	}
	s.say("the cluster goes on after the backup: %d more writes, up to revision %d; these will be lost", laterWrites, d.head)
	for _, n := range c.Nodes[:2] {
		if err := d.lose(n); err != nil {
			return err
		}
	}
	last := c.Nodes[2]
	short, cancel := context.WithTimeout(ctx, deadWait)
	defer cancel()
	_, err := last.Client.Get(short, "/registry/configmaps/default/written-after-the-backup")
	if err == nil {
		return fmt.Errorf("member %s serves without the others", last.Name)
	}
	s.say("%s and %s are killed and their data deleted: no quorum. A read on %s gets no answer in %s: %s",
		c.Nodes[0].Name, c.Nodes[1].Name, last.Name, deadWait, shortened(err))
	if err := d.lose(last); err != nil {
		return err
	}
	s.say("%s too. What is left: the bucket, the key files, and the certificates, which no backup of etcd holds", last.Name)
	return nil
}

func (d *demo) lose(n *throwaway.Node) error {
	if err := n.Kill(); err != nil {
		return err
	}
	return os.RemoveAll(n.DataDir)
}

// shortened is what a client says, without the address book around it.
func shortened(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "desc = "); i >= 0 {
		text = text[i+len("desc = "):]
	}
	return text
}
