package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// An Extracted is a snapshot file as etcd itself writes them.
type Extracted struct {
	Source     Source
	File       string
	Size       int64  // bytes
	SHA256     string // hex, of the file
	Sink       string // where the copy came from; "" for a local file
	OpenedWith string // fingerprint of the key that opened it
}

// Extract writes the plain snapshot of a plan's source into a file, for distributions that restore one by themselves (k3s, Talos,
// etcdutl): byte for byte what etcd sent, its own digest at the end included. It is checked as a restore is: authenticity, lineage, age,
// digest, decryption, structure, revision and HashKV; then it appears whole, readable by its owner only, at a path where nothing is.
//
// Nothing else of the plan counts: there are no members, and no bump. Errors are those of Run; nothing is left then.
func Extract(ctx context.Context, p Plan, to string, d Deps) (done *Extracted, err error) {
	if to, err = cleanPath(to); err != nil {
		return nil, err
	}
	d = d.settled()
	if err := p.CheckExtract(d.Now(), to, d); err != nil {
		return nil, err
	}
	r := &runner{Deps: d, plan: &p, result: &Result{Source: p.Source}, keepTrailer: true}
	if err := r.unlock(ctx); err != nil {
		return nil, err
	}
	for _, dir := range leftovers(filepath.Dir(to), filepath.Base(to)) {
		d.Log.Warn("removing what a killed restore has left", "dir", dir)
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	if r.stage, err = newStage(filepath.Dir(to), filepath.Base(to), d.named); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.look(ctx, r.stage.create); err != nil {
		return nil, err
	}
	r.enter(StepFinish, 0)
	if err := r.deliver(ctx, to); err != nil {
		return nil, err
	}
	return &Extracted{p.Source, to, p.Source.Size, p.Source.SHA256, r.result.Sink, r.result.OpenedWith}, nil
}

// CheckExtract refuses what Extract must not do, before anything is fetched or created.
func (p *Plan) CheckExtract(now time.Time, to string, d Deps) error {
	switch {
	case p.Source.Raw:
		return &UsageError{
			Reason: p.Source.name() + " is a raw database: etcd put no digest at its end, and one that we put there would prove nothing",
			Advice: "restore members from it with --out or --data-dir, start them, and take a backup of them",
		}
	case p.AcceptStorageVersion:
		return &UsageError{
			Reason: "--accept-storage-version would change the snapshot, which is written as etcd sent it",
			Advice: "leave it out; the etcd that restores the file has to be as new as the one it was taken from",
		}
	}
	for _, refuse := range []func() error{
		p.checkAuthentic, p.checkLineage,
		func() error { return p.checkAge(now) },
		p.checkVersion,
		func() error { return p.checkIdentity(d.Identities) },
	} {
		if err := refuse(); err != nil {
			return err
		}
	}
	if present(to) {
		return &Refusal{What: to + " exists, and is never overwritten", Safe: "give another path", Err: fs.ErrExist}
	}
	p.BytesNeeded = p.Source.Size
	if p.Source.Entry != nil {
		p.BytesNeeded += p.Source.Entry.Manifest.Sealed.Size
	}
	return p.checkSpace(filepath.Dir(to))
}

// deliver gives the checked file, which lies in the stage, its digest back and its name.
func (r *runner) deliver(ctx context.Context, to string) error {
	f, src := r.files[0], &r.plan.Source
	if _, err := f.WriteAt(r.trailer, src.Size-trailerSize); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, src.Size)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != src.SHA256 {
		return fmt.Errorf("what was written has the SHA-256 %s instead of %s: the disk or the memory of this machine is faulty", sum, src.SHA256)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	path := filepath.Join(r.stage.dir, "snapshot.db")
	if err := r.stage.place(f, path); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // its name, too
		return err
	}
	if err := r.point(ctx, "complete"); err != nil {
		return err
	}
	if err := moveNew(path, to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &Refusal{What: to + " exists, and is never overwritten", Safe: "give another path", Err: err}
		}
		return err
	}
	return errors.Join(syncAt(filepath.Dir(to)), r.stage.syncAbove()) // the stage, empty now, goes with close
}
