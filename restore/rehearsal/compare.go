package rehearsal

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// hashTimeout bounds one HashKV request, which reads the whole database: 1.5 GiB takes some 3 s.
const hashTimeout = 10 * time.Minute

// The parts a row of a comparison can stand for.
const (
	RoleSource   = "source"   // a member of the cluster that was backed up, asked while it lived
	RoleBackup   = "backup"   // the backup's own figure: its manifest's, or computed from a local file
	RoleRestored = "restored" // a member that was restored
)

// Row is one HashKV in a comparison and where it comes from. HashKV is etcd's own checksum over every key, value and
// revision up to Revision, as far as history goes back (CompactRevision).
type Row struct {
	Role            string `json:"role"`
	Name            string `json:"name"`
	Etcd            string `json:"etcd,omitempty"` // version of the server that answered
	HashKV          uint32 `json:"hashkv"`
	Revision        int64  `json:"revision"`
	CompactRevision int64  `json:"compact_revision"`
	Equal           bool   `json:"equal"`           // to what was expected
	Error           string `json:"error,omitempty"` // why there is no figure
}

// Target is a member to ask: its name and a client whose only endpoint it is.
type Target struct {
	Role, Name string
	Client     *clientv3.Client
}

// Compare asks every target over RPC for its HashKV at want's revision and compares hash and compact revision with
// want. It answers one row for each target, in their order, and whether all are equal; a target that cannot answer is
// not equal, and its row says why. A HashKV stops a member's writes while it scans: never ask a busy cluster.
func Compare(ctx context.Context, want snapshot.Hash, targets []Target) ([]Row, bool) {
	rows := make([]Row, len(targets))
	var g errgroup.Group
	for i, t := range targets {
		g.Go(func() error {
			rows[i] = ask(ctx, want, t)
			return nil
		})
	}
	_ = g.Wait() // no function of the group fails
	equal := len(rows) > 0
	for _, r := range rows {
		equal = equal && r.Equal
	}
	return rows, equal
}

func ask(ctx context.Context, want snapshot.Hash, t Target) Row {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	row := Row{Role: t.Role, Name: t.Name, Revision: want.Revision}
	endpoint := t.Client.Endpoints()[0]
	if st, err := t.Client.Status(ctx, endpoint); err == nil {
		row.Etcd = st.Version
	}
	got, err := t.Client.HashKV(ctx, endpoint, want.Revision)
	if err != nil {
		row.Error = err.Error()
		return row
	}
	row.HashKV, row.CompactRevision = got.Hash, got.CompactRevision
	row.Equal = got.Hash == want.Hash && got.CompactRevision == want.CompactRevision
	return row
}

// BackupRow is the row of what the members are compared with.
func BackupRow(name string, h snapshot.Hash) Row {
	return Row{Role: RoleBackup, Name: name, HashKV: h.Hash, Revision: h.Revision, CompactRevision: h.CompactRevision, Equal: true}
}

// WriteRows prints a comparison for a person.
func WriteRows(w io.Writer, rows []Row) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHO\tNAME\tETCD\tHASHKV\tREVISION\tCOMPACTED\t")
	for _, r := range rows {
		verdict := "equal"
		switch {
		case r.Role == RoleBackup:
			verdict = "expected"
		case !r.Equal:
			verdict = "DIFFERENT"
		}
		if r.Error != "" {
			fmt.Fprintf(tw, "%s\t%s\t%s\t-\t%d\t-\tNO ANSWER: %s\n", r.Role, r.Name, dash(r.Etcd), r.Revision, firstLine(r.Error))
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", r.Role, r.Name, dash(r.Etcd), r.HashKV, r.Revision, r.CompactRevision, verdict)
	}
	return tw.Flush()
}
