package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// A Copier brings backups into a sink as they are in others: the sealed bytes, the manifest byte for byte (so that its signature
// holds), and everything beside it. It opens nothing and needs no key.
type Copier struct {
	From  []Named // where backups are looked for, in this order
	To    Named
	Trust Trust // only what is authentic by it is copied
	// Room holds one payload at a time: it is read whole, and compared with the manifest, before the first byte goes to To. A damaged copy
	// must not come to lie in the way of a sound one, and a sink may read a body repeatedly and at several places at once.
	Room *os.File
	// Progress, which may be nil, is told of the bytes of the step under way: fetch, upload or read-back.
	Progress func(step string, done, total int64)
}

// Copied tells what became of one backup.
type Copied struct {
	From    string  // name of the sink whose payload was taken; "" if none was needed
	Already bool    // the backup was there, of the right size; what it holds was not read
	Notes   int     // marks, reports and sidecars that were added
	Ignored int     // of those, the ones left out because they are damaged or without a trusted signature
	Failed  []error // of sources which could not give what they hold, while another could; or whose reports or sidecars are unknown
}

// ErrRoom is matched when the file that holds the payload could not be written or read.
var ErrRoom = errors.New("no room for the copy")

// Copy brings one backup into the sink To, where it exists when Copy returns nil: its bytes were compared with the manifest on
// their way and once more where they arrived, holds and acceptances were there before it, the manifest came last. Where the marks of a source
// cannot be read, or a hold is damaged or without a trusted signature, it does not come to exist: one may be a hold. What is there already is left as it is, and its payload not read again, so it can be called again after any failure. A source that is damaged, or cannot be read, is
// passed over for the next.
//
// Errors match ErrNotAuthentic (To has another manifest under this id), ErrDamaged (To has other bytes in its place: *MisplacedError; or no source has
// the right ones), ErrNotFound (no source has it) or ErrRoom; or are a sink's.
func (c Copier) Copy(ctx context.Context, e Entry) (Copied, error) {
	var done Copied
	data, err := c.manifest(ctx, e, &done)
	if err != nil {
		return done, err
	}
	there, err := c.committed(ctx, e)
	if err != nil {
		return done, err
	}
	present, err := c.payload(ctx, e, there, &done)
	if err != nil {
		return done, err
	}
	unread, err := c.beside(ctx, e, &done)
	if err == nil && !there {
		err = errors.Join(unread...)
	}
	if err != nil {
		return done, err
	}
	done.Failed = append(done.Failed, unread...)
	if done.Already = there && present; there {
		return done, nil
	}
	if err := c.remains(ctx, e); err != nil {
		return done, err
	}
	return done, Commit(ctx, c.To, data)
}

// remains is an error if the backup was removed from every source while it was copied: it must not come back by that.
func (c Copier) remains(ctx context.Context, e Entry) error {
	key := ManifestKey(e.Cluster, e.ID)
	for _, s := range c.holders(e) {
		if _, err := getNote(ctx, s, key); !errors.Is(err, fs.ErrNotExist) {
			return nil // there, or nobody can tell
		}
	}
	return fmt.Errorf("%w: %s was removed while it was copied", ErrNotFound, e.ID)
}

// manifest fetches the bytes of the manifest from the first source that has the right ones.
func (c Copier) manifest(ctx context.Context, e Entry, done *Copied) ([]byte, error) {
	key := ManifestKey(e.Cluster, e.ID)
	var failed []error
	for _, s := range c.holders(e) {
		data, err := getNote(ctx, s, key)
		if err == nil {
			_, _, err = Decode(data, c.Trust)
		}
		if err == nil && TextSHA256(data) != e.TextSHA256 {
			err = fmt.Errorf("%w: it is another than was listed", ErrNotAuthentic)
		}
		if err == nil {
			done.Failed = append(done.Failed, failed...)
			return data, nil
		}
		failed = append(failed, &Problem{s.Name, key, e.ID, err})
	}
	if len(failed) == 0 {
		return nil, fmt.Errorf("%w: %s is in none of the sinks to copy from", ErrNotFound, e.ID)
	}
	return nil, errors.Join(failed...)
}

// holders are the sources that hold the manifest.
func (c Copier) holders(e Entry) []Named {
	return slices.DeleteFunc(slices.Clone(c.From), func(s Named) bool { return !slices.Contains(e.Sinks, s.Name) })
}

// committed reports whether To has the manifest already.
func (c Copier) committed(ctx context.Context, e Entry) (bool, error) {
	key := ManifestKey(e.Cluster, e.ID)
	data, err := getNote(ctx, c.To, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		_, _, err = Decode(data, c.Trust)
	}
	if err == nil && TextSHA256(data) != e.TextSHA256 {
		err = fmt.Errorf("%w: another manifest of this id is there", ErrNotAuthentic)
	}
	if err != nil {
		return false, &Problem{c.To.Name, key, e.ID, err}
	}
	return true, nil
}

// payload brings the sealed bytes, and reports whether they were there. Of those of a committed backup only the size is looked at:
// verify is there to read them.
func (c Copier) payload(ctx context.Context, e Entry, committed bool, done *Copied) (present bool, err error) {
	size, present, err := c.size(ctx, e)
	if err != nil {
		return false, err
	}
	wrong := &MisplacedError{c.To.Name, e.Sealed.Key}
	switch {
	case present && size != e.Sealed.Size:
		return true, wrong
	case present && committed:
		return true, nil
	case !present:
		if err := c.bring(ctx, e, done); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
	}
	err = VerifyDigest(ctx, c.To, e.Manifest, c.step("read-back"))
	if present && errors.Is(err, ErrDamaged) {
		return true, wrong
	}
	return present, err
}

// size looks for the payload in To.
func (c Copier) size(ctx context.Context, e Entry) (size int64, present bool, err error) {
	for o, err := range c.To.List(ctx, e.Sealed.Key) {
		if err != nil {
			return 0, false, &Problem{c.To.Name, e.Sealed.Key, e.ID, err}
		}
		return o.Size, o.Key == e.Sealed.Key, nil // the key itself comes before what begins with it
	}
	return 0, false, nil
}

// bring fetches the payload from the first source that has it whole, and puts it into To.
func (c Copier) bring(ctx context.Context, e Entry, done *Copied) error {
	var failed []error
	for _, s := range c.holders(e) {
		err := c.fetch(ctx, s, e)
		if errors.Is(err, ErrDamaged) {
			if older, ok := WholeVersion(ctx, s, e.Manifest); ok { // somebody has overwritten or hidden it
				err = c.fetch(ctx, older, e)
			}
		}
		if err == nil {
			done.From, done.Failed = s.Name, append(done.Failed, failed...)
			err = c.To.Put(ctx, e.Sealed.Key, &counted{of: c.Room, size: e.Sealed.Size, step: c.step("upload")}, e.Sealed.Size)
			if err != nil {
				return &Problem{c.To.Name, e.Sealed.Key, e.ID, err}
			}
			return nil
		}
		if errors.Is(err, ErrRoom) || ctx.Err() != nil {
			return err
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// fetch fills the room with the payload of one source.
func (c Copier) fetch(ctx context.Context, s Named, e Entry) error {
	_, err := c.Room.Seek(0, io.SeekStart)
	if err == nil {
		err = c.Room.Truncate(0)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRoom, err)
	}
	return fetchPayload(ctx, s, e.Manifest, roomWriter{c.Room}, c.step("fetch"))
}

// roomWriter marks failures of the room, which no other source can mend.
type roomWriter struct{ *os.File }

func (w roomWriter) Write(p []byte) (int, error) {
	n, err := w.File.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRoom, err)
	}
	return n, err
}

func (c Copier) step(name string) func(done, total int64) {
	return func(done, total int64) {
		if c.Progress != nil {
			c.Progress(name, done, total)
		}
	}
}

// counted tells how far a body was read, whatever order and number of times its parts are read in.
type counted struct {
	of   io.ReaderAt
	size int64
	step func(done, total int64)
}

func (r *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.of.ReadAt(p, off)
	r.step(min(off+int64(n), r.size), r.size)
	return n, err
}

// beside adds what is beside the backup in any source and not in To: marks first, so that a held backup is never there without
// its hold. unread tells of marks that no source could give.
func (c Copier) beside(ctx context.Context, e Entry, done *Copied) (unread []error, err error) {
	ofMarks := marks(e.Cluster) + string(e.ID) + "/"
	for _, prefix := range []string{
		ofMarks, reports(e.Cluster) + string(e.ID) + "/", strings.TrimSuffix(SidecarKey(e.Cluster, e.ID, ""), ".age"),
	} {
		has := make(map[string]bool)
		for o, err := range c.To.List(ctx, prefix) {
			if err != nil {
				return nil, &Problem{c.To.Name, prefix, e.ID, err}
			}
			has[o.Key] = true
		}
		var failed []*Problem
		for _, s := range c.From {
			of, err := c.notes(ctx, e, s, prefix, has, done)
			if failed = append(failed, of...); err != nil {
				return nil, err
			}
		}
		for _, p := range failed {
			if prefix == ofMarks && !has[p.Key] {
				unread = append(unread, p)
			} else {
				done.Failed = append(done.Failed, p)
			}
		}
	}
	return unread, nil
}

// notes adds what one source has under a prefix. failed tells what could not be read: notes, or the prefix.
func (c Copier) notes(ctx context.Context, e Entry, s Named, prefix string, has map[string]bool, done *Copied) (failed []*Problem, err error) {
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			failed = append(failed, &Problem{s.Name, prefix, e.ID, err})
			break
		}
		if has[o.Key] {
			continue
		}
		data, err := getNote(ctx, s, o.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
			continue
		case err != nil:
			failed = append(failed, &Problem{s.Name, o.Key, e.ID, err})
			continue
		}
		if err := c.sound(e, o.Key, data); err != nil {
			if _, _, kind, bad := parseMarkKey(e.Cluster, o.Key); bad == nil && kind == MarkHold { // somebody has meant it to stay
				failed = append(failed, &Problem{s.Name, o.Key, e.ID, fmt.Errorf("a hold that cannot be copied: %w", err)})
			} else {
				done.Ignored++
			}
			continue
		}
		if err := putNote(ctx, c.To, o.Key, e.ID, data); err != nil {
			return failed, err
		}
		has[o.Key] = true
		done.Notes++
	}
	return failed, ctx.Err()
}

// sound is an error if a note may not go along: what a reader would ignore stays where it is. Of sidecars nothing but the name can be
// known; the manifest's digests decide about what they open. Kinds of a later version go along as long as they are authentic.
func (c Copier) sound(e Entry, key string, data []byte) error {
	var err error
	switch {
	case strings.HasPrefix(key, marks(e.Cluster)):
		_, err = DecodeMark(key, data, c.Trust)
	case strings.HasPrefix(key, reports(e.Cluster)):
		_, err = DecodeReport(key, data, c.Trust)
	default:
		fp := strings.TrimSuffix(key[strings.LastIndex(key, "/")+1:], ".age")
		if !fingerprint.MatchString(fp) || SidecarKey(e.Cluster, e.ID, fp) != key || len(data) > maxNote {
			err = fmt.Errorf("%w: no sidecar", ErrDamaged)
		}
		return err
	}
	if errors.Is(err, ErrUnsupported) {
		return nil
	}
	return err
}
