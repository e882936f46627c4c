package restore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// edit makes the database one of the new cluster, and gets its HashKV computed from what was written. It returns when the copies for the
// other members are there, too, which settle goes on with.
func (r *runner) edit(ctx context.Context) error {
	o, err := r.order()
	if err != nil {
		return err
	}
	done, err := r.editor.apply(ctx, o)
	if err != nil {
		return fmt.Errorf("edit the database: %w", err)
	}
	if done.Hash != o.Want {
		return fmt.Errorf("edit the database: HashKV of what was written is %08x, and was to be %08x", done.Hash, o.Want)
	}
	if err := r.files[0].Truncate(done.Size); err != nil {
		return err
	}
	src := &r.plan.Source
	r.result.Hash = snapshot.Hash{Hash: done.Hash, Revision: src.Hash.Revision, CompactRevision: src.Hash.CompactRevision}
	r.result.Revision, r.result.Bytes = done.Newest, done.Size
	r.layout = done.layout
	if r.clones == nil {
		return nil
	}
	return r.clones.wait()
}

// order is what makes a database one of the new cluster.
func (r *runner) order() (order, error) {
	p, src := r.plan, &r.plan.Source
	o := order{
		Clear: []string{"members", "members_removed", "alarm"},
		Hash:  snapshot.HashPoint{Revision: src.Hash.Revision, CompactRevision: src.Hash.CompactRevision},
		Want:  src.Hash.Hash, Newest: src.Revision, Bump: p.Bump,
	}
	var err error
	if o.Put, err = r.cluster.records(); err != nil {
		return o, err
	}
	// AutoLeave is written out because etcd 3.5 and 3.6 do.
	conf, err := json.Marshal(struct {
		Voters    []uint64 `json:"voters"`
		AutoLeave bool     `json:"auto_leave"`
	}{r.cluster.voters, false})
	if err != nil {
		return o, err
	}
	o.Put = append(o.Put,
		record{metaBucket, []byte("consistent_index"), binary.BigEndian.AppendUint64(nil, r.cluster.index())},
		record{metaBucket, []byte("term"), binary.BigEndian.AppendUint64(nil, raftTerm)},
		record{metaBucket, []byte("confState"), conf},
	)
	if p.dropsVersion() {
		o.Clear = append(o.Clear, "cluster")
		o.Delete = append(o.Delete, record{Bucket: metaBucket, Key: []byte("storageVersion")})
	}
	if p.DropAuth {
		o.Put = append(o.Put, record{"auth", []byte("authEnabled"), []byte{0}})
	}
	return o, nil
}

// settle makes every member's file equal to the edited one, and durable.
func (r *runner) settle(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(r.files[0].Sync)
	if r.clones != nil {
		r.enter(StepSync, r.layout.bytes())
		g.Go(func() error { return r.clones.settle(ctx, r.layout, r.advance) })
		return g.Wait()
	}
	for _, f := range r.files[1:] {
		g.Go(func() error { return r.share(f) })
	}
	return g.Wait()
}

// share gives a file the blocks of the first, durably.
func (r *runner) share(f *os.File) error {
	if err := reflink(f, r.files[0]); err != nil {
		return fmt.Errorf("share the blocks of the first member's database: %w", err)
	}
	return f.Sync()
}

// finish gives the files their names, adds the write-ahead logs, and moves everything to its place.
func (r *runner) finish(ctx context.Context) error {
	_, _, whole := r.plan.place()
	roots := make([]string, len(r.plan.Dirs))
	for i, t := range r.plan.Dirs {
		roots[i] = r.stage.dir
		if r.plan.DataDir == "" {
			roots[i] = filepath.Join(r.stage.dir, t.Member)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, t := range r.plan.Dirs {
		g.Go(func() error { return r.furnish(gctx, roots[i], t.Dir, t.Member, r.files[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := syncAt(r.stage.dir); err != nil {
		return err
	}
	if err := r.point(ctx, "complete"); err != nil {
		return err
	}
	// From here on it is done, or undone.
	if whole {
		dest := r.plan.DataDir
		if dest == "" {
			dest = r.plan.Out
		}
		return r.move([]string{r.stage.dir}, []string{dest})
	}
	var dests []string
	for _, t := range r.plan.Dirs {
		dests = append(dests, t.Dir)
	}
	if err := r.move(roots, dests); err != nil {
		return err
	}
	if err := os.Remove(r.stage.dir); err != nil {
		r.Log.Warn("an empty folder is left", "dir", r.stage.dir, "err", err)
	}
	return nil
}

// furnish makes the data directory of one member at root, the write-ahead log last; its owner is that of dest, where it will be.
func (r *runner) furnish(ctx context.Context, root, dest, name string, db *os.File) error {
	snapDir := filepath.Join(root, "member", "snap")
	if err := os.MkdirAll(snapDir, dirMode); err != nil {
		return err
	}
	if err := r.stage.place(db, filepath.Join(snapDir, "db")); err != nil {
		return err
	}
	if err := db.Sync(); err != nil { // its name, too
		return err
	}
	if err := r.point(ctx, "database of "+name); err != nil {
		return err
	}
	if err := r.cluster.writeLog(filepath.Join(root, "member"), name); err != nil {
		return fmt.Errorf("member %s: %w", name, err)
	}
	if err := syncAt(root); err != nil {
		return err
	}
	if err := r.point(ctx, "log of "+name); err != nil {
		return err
	}
	if o := r.plan.owners[dest]; o != nil {
		return o.give(root, func(err error) {
			r.Log.Warn("the SELinux label of the old directory cannot be set: restorecon -R the new one before its etcd starts", "dir", dest, "err", err)
		})
	}
	return nil
}

// move renames everything to its place, or nothing.
func (r *runner) move(from, to []string) (err error) {
	var undo []func() error
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	for i := range from {
		back, err := r.moveOne(from[i], to[i])
		if err != nil {
			return err
		}
		undo = append(undo, back)
		if err := r.at(fmt.Sprintf("move %d", i+1)); err != nil {
			return err
		}
	}
	if err := errors.Join(syncAt(filepath.Dir(to[0])), r.stage.syncAbove()); err != nil {
		return err
	}
	r.done = true
	return nil
}

// moveOne renames one directory to its place, from where another is moved aside only if that was asked for. It tells how to take it back.
func (r *runner) moveOne(from, to string) (undo func() error, err error) {
	if a := r.plan.aside(to); a != nil && present(to) {
		return r.replace(from, *a)
	}
	if err := moveNew(from, to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, r.plan.exists(Target{Dir: to})
		}
		return nil, err
	}
	return func() error { return os.Rename(to, from) }, nil
}
