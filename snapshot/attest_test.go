package snapshot_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMembersAttestTheFile(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version})
			client := lc.Client(t)
			var rev int64
			for i := range 50 {
				rev = put(t, client, fmt.Sprint("key", i%10), fmt.Sprint(i))
			}
			compact(t, client, rev-20)
			c := connect(t, config(t, lc))
			spool, _ := save(t, c)
			info := inspect(t, spool.File(), snapshot.InspectOptions{})
			eps := survey(t, c).Candidates
			all := must[[]snapshot.MemberHash](t)(c.Attest(t.Context(), eps, info.Revision))
			agreed, differ := snapshot.Differing(all, info.Hash)
			if len(all) != 3 || agreed != 3 || len(differ) != 0 || all[2].Member != eps[2].Name {
				t.Errorf("%d agreed with %+v: %+v", agreed, info.Hash, all)
			}
			wrong := info.Hash
			wrong.Hash++
			if agreed, differ := snapshot.Differing(all, wrong); agreed != 0 || len(differ) != 3 {
				t.Errorf("%d agreed with a wrong hash, %d differ", agreed, len(differ))
			}
			compaction := must[[]snapshot.MemberHash](t)(c.Attest(t.Context(), eps, info.CompactRevision))
			for _, m := range compaction {
				if m.Err != nil || m.Hash != compaction[0].Hash {
					t.Errorf("compaction hashes differ: %+v", compaction)
				}
			}
			if agreed, differ := snapshot.Differing(compaction, info.Hash); agreed != 0 || len(differ) != 0 {
				t.Errorf("hashes at another revision were compared: %d, %v", agreed, differ)
			}
			lc.Kill(t, 0)
			lc.Await(t, 1, 2)
			for _, m := range must[[]snapshot.MemberHash](t)(c.Attest(t.Context(), eps, info.Revision)) {
				if down := m.Endpoint == lc.Members()[0].ClientURL; down != errors.Is(m.Err, snapshot.ErrUnavailable) {
					t.Errorf("with one member down: %+v", m)
				}
			}
		})
	}
}

func TestEstimateOfTheStallGrowsWithTheData(t *testing.T) {
	t.Parallel()
	if s := snapshot.Stall(snapshot.Endpoint{DBSizeInUse: 3 << 29}).Seconds(); s < 2 || s > 4 {
		t.Errorf("1.5 GiB are said to take %v s, measured 2.6 s", s)
	}
}
