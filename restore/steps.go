package restore

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const trailerSize = 32 // of etcd's digest at the end of a snapshot

// bring gets the plain database into the first file, checked against what is known of it.
func (r *runner) bring(ctx context.Context) error {
	src := &r.plan.Source
	if src.File != "" {
		f, err := os.Open(src.File)
		if err != nil {
			return err
		}
		defer f.Close()
		r.enter(StepOpen, src.Size)
		return r.pour(ctx, f)
	}
	sealed, err := r.stage.scratch()
	if err != nil {
		return err
	}
	defer sealed.Close()
	want := src.Entry.Manifest.Sealed
	r.enter(StepFetch, want.Size)
	skip := func(c *Copy) {
		r.Log.Warn("copy cannot be used", "sink", c.Sink, "id", src.ID, "err", c.Err)
		r.result.Skipped = append(r.result.Skipped, c)
		r.enter(StepFetch, want.Size)
	}
	if r.result.Sink, err = fetch(ctx, sealed, src.Entry, r.Sinks, r.advance, skip); err != nil {
		return err
	}
	if err := r.point(ctx, "fetched"); err != nil {
		return err
	}
	r.enter(StepOpen, src.Size)
	return r.open(ctx, sealed)
}

// open decrypts and decompresses the fetched object, whose digest is right.
func (r *runner) open(ctx context.Context, sealed *os.File) error {
	src := &r.plan.Source
	in := io.NewSectionReader(sealed, 0, src.Entry.Manifest.Sealed.Size)
	opened, err := r.unseal(ctx, in)
	if err != nil {
		return fmt.Errorf("open %s: %w", src.name(), err)
	}
	opened.HashElsewhere() // in pour, on another core
	r.result.OpenedWith = opened.Fingerprint()
	return r.pour(ctx, opened)
}

func (r *runner) unseal(ctx context.Context, in io.ReadSeeker) (*crypto.Opened, error) {
	src := &r.plan.Source
	if !src.encrypted() {
		return crypto.OpenPlain(in, src.Size)
	}
	if r.key == nil { // no header could be judged by itself; now the digest has
		h, err := crypto.ReadHeader(in, "")
		if err != nil {
			return nil, err
		}
		if r.key, err = r.unlocking.open(ctx, h); err != nil {
			return nil, err
		}
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return r.key.Open(in, src.Size)
}

// pour writes the plain bytes into the first file and compares what they are with what they should be.
func (r *runner) pour(ctx context.Context, in io.Reader) error {
	src := &r.plan.Source
	wish(r.files[0], span{0, src.Size})
	got, err := pour(ctx, r.files[0], io.LimitReader(in, src.Size+1), r.advance)
	if err != nil {
		return fmt.Errorf("open %s: %w", src.name(), err)
	}
	switch {
	case got.size != src.Size && got.size > src.Size:
		return damaged("%s holds more than the %d bytes it should", src.name(), src.Size)
	case got.size != src.Size:
		return damaged("%s holds %d bytes instead of %d", src.name(), got.size, src.Size)
	case got.sha256 != src.SHA256:
		return damaged("%s has the SHA-256 %s instead of %s", src.name(), got.sha256, src.SHA256)
	case !src.Raw && !got.whole:
		return damaged("%s does not end with the SHA-256 of its content, as etcd ends a snapshot", src.name())
	}
	if src.Raw {
		return nil
	}
	if r.keepTrailer {
		r.trailer = make([]byte, trailerSize)
		if _, err := r.files[0].ReadAt(r.trailer, src.Size-trailerSize); err != nil {
			return readFully(err)
		}
	}
	return r.files[0].Truncate(src.Size - trailerSize)
}

// inspect has the database looked at. Meanwhile the editing process opens it, and the copying for the other members begins, which goes on
// until the edit is done: should the database turn out to be bad, the copies go as they came.
func (r *runner) inspect(ctx context.Context) error {
	src := &r.plan.Source
	editing, stop := context.WithCancelCause(ctx)
	r.stop = func() { stop(nil) }
	inspected := make(chan error, 1)
	look := r.lookFor()
	look.SharesLock = true // with the editing process, which unlocks the file in the end
	go func() {
		var err error
		if r.result.Info, err = snapshot.Inspect(ctx, r.files[0], look); err != nil {
			stop(err)
		}
		inspected <- err
	}()
	started := r.startCopies(editing)
	// The inspection knows better what is wrong with a file than a process that dies of it.
	err := <-inspected
	if err == nil {
		err = started
	}
	if err != nil {
		return fmt.Errorf("%s: %w", src.name(), err)
	}
	return r.compare(r.result.Info)
}

// startCopies starts the editing process, and has copies made of the file for the other members without the parts that are dead.
// The edit may change a page while it is copied: settle makes all of them equal to the edited file.
func (r *runner) startCopies(ctx context.Context) (err error) {
	copying := len(r.files) > 1 && !r.shared
	if r.editor, err = startEditor(ctx, r.files[0], copying); err != nil || !copying {
		return err
	}
	before := r.editor.before
	r.enter(StepInspect, int64(len(r.files)-1)*before.bytes())
	r.clones = newClones(r.files[0], r.files[1:], !r.StartsHere)
	r.clones.start(ctx, before, r.advance)
	return nil
}

// lookFor is what an inspection has to find out about the plain database.
func (r *runner) lookFor() snapshot.InspectOptions {
	at := r.plan.Source.Hash
	return snapshot.InspectOptions{
		Raw: true, SkipDigest: true, // both were checked as it came
		HashAt:   &snapshot.HashPoint{Revision: at.Revision, CompactRevision: at.CompactRevision},
		Prefixes: r.plan.CountKeys,
	}
}

// compare holds what was found against what is known of the backup.
func (r *runner) compare(info *snapshot.Info) error {
	src := &r.plan.Source
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"revision", info.Revision, src.Revision},
		{"HashKV", info.Hash, src.Hash},
		{"number of live keys", info.LiveKeys, src.LiveKeys},
		{"presence of Kubernetes", info.Kubernetes, src.Kubernetes},
	} {
		if c.got != c.want {
			return damaged("the %s in %s is %v, and should be %v", c.what, src.name(), c.got, c.want)
		}
	}
	if src.Entry == nil {
		return nil
	}
	// Only the file itself is sure to know these.
	src.StorageVersion, src.AuthEnabled = info.StorageVersion, info.AuthEnabled
	r.result.Source = *src
	return r.plan.checkVersion()
}
