package lab

import (
	"context"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// TestAHashIsWaitedForUntilTheMemberHasCome asks for a revision that is written only afterwards.
func TestAHashIsWaitedForUntilTheMemberHasCome(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, ClusterOptions{Members: 1})
	cli := c.Client(t)
	put, err := cli.Put(t.Context(), "a", "1")
	if err != nil {
		t.Fatal(err)
	}
	next := put.Header.Revision + 1
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := HashKV(short, cli, c.Endpoints()[0], next); rpctypes.ErrorDesc(err) != rpctypes.ErrorDesc(rpctypes.ErrFutureRev) && short.Err() == nil {
		t.Errorf("a revision that is not there yet: %v", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _, _ = cli.Put(context.WithoutCancel(t.Context()), "a", "2") })
	if r, err := HashKV(t.Context(), cli, c.Endpoints()[0], next); err != nil || r.Hash == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
