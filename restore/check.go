package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/holder"
)

// Check refuses what must not be done, before any payload is fetched and any file is created. It resolves the plan first.
// Errors are *UsageError and *Refusal.
func (p *Plan) Check(ctx context.Context, now time.Time, ids []age.Identity) error {
	if err := p.Resolve(); err != nil {
		return err
	}
	for _, refuse := range []func() error{
		p.checkAuthentic,
		p.checkLineage,
		func() error { return p.checkAge(now) },
		p.checkVersion,
		p.checkHead,
		func() error { return p.checkIdentity(ids) },
		p.checkPlaces,
		p.checkProcesses,
		p.checkRoom,
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := refuse(); err != nil {
			return err
		}
	}
	return nil
}

// checkAuthentic holds what the catalog has found to what is trusted now: an entry may have been read under another trust.
func (p *Plan) checkAuthentic() error {
	e := p.Source.Entry
	if e == nil || p.Trust.Verifiers == nil || e.Sig.Trusted {
		return nil
	}
	if !e.Sig.Signed && p.Trust.AcceptUnsigned {
		return nil
	}
	what, override := "is not signed", "--accept-unsigned"
	if e.Sig.Signed {
		what, override = "is signed by "+strings.Join(e.Sig.By, ", ")+", which is no trusted key", ""
	}
	return &Refusal{
		What: fmt.Sprintf("the manifest of %s %s: anyone who can write to the bucket can have made it", p.Source.name(), what),
		Safe: "choose a backup that `lifeboat list` shows as signed", Override: override, Err: catalog.ErrNotAuthentic,
	}
}

func (p *Plan) checkLineage() error {
	e := p.Source.Entry
	if e == nil || len(e.Doubts) == 0 || p.AcceptSuspect {
		return nil
	}
	return &Refusal{
		What:     fmt.Sprintf("%s may be of a cluster that was wiped, or of another one: %s", p.Source.name(), strings.Join(e.Doubts, "; ")),
		Safe:     "restore latest, which is the newest of the accepted lineage, or have somebody look and run `lifeboat accept`",
		Override: "--accept-suspect",
	}
}

func (p *Plan) checkAge(now time.Time) error {
	age := now.Sub(p.Source.Taken)
	if p.MaxAge <= 0 || age <= p.MaxAge {
		return nil
	}
	return &Refusal{
		What:     fmt.Sprintf("%s is %s old, more than %s", p.Source.name(), ageOf(age), ageOf(p.MaxAge)),
		Safe:     "look with `lifeboat list` for why there is no newer one",
		Override: "a larger --max-age, or none",
	}
}

// dropsVersion reports whether the mark of the storage version has to go, and was allowed to.
func (p *Plan) dropsVersion() bool {
	return p.AcceptStorageVersion && newer(p.Source.StorageVersion, p.EtcdVersion)
}

func (p *Plan) checkVersion() error {
	if !newer(p.Source.StorageVersion, p.EtcdVersion) || p.AcceptStorageVersion {
		return nil
	}
	return &Refusal{
		What:     fmt.Sprintf("%s has storage version %s, which etcd %s does not start on", p.Source.name(), p.Source.StorageVersion, p.EtcdVersion),
		Safe:     "restore it for etcd " + p.Source.StorageVersion + " or newer",
		Override: "--accept-storage-version, which removes the mark",
	}
}

// checkHead wants the new cluster's first revision above all that the old one ever told anybody.
func (p *Plan) checkHead() error {
	if p.Bump == 0 || p.Source.Revision+p.Bump > p.Head {
		return nil
	}
	need := (p.Head-p.Source.Revision)/BumpStep + 1
	return &Refusal{
		What: fmt.Sprintf("the old cluster has reached revision %d, and a bump by %d from %d stays below it: clients would take new changes for old ones",
			p.Head, p.Bump, p.Source.Revision),
		Safe:     fmt.Sprintf("give --attempt %d on every node", need),
		Override: "--no-bump, and restart every client",
	}
}

func (p *Plan) checkIdentity(ids []age.Identity) error {
	if !p.Source.encrypted() || len(ids) > 0 {
		return nil
	}
	return &UsageError{
		Reason: p.Source.name() + " is encrypted, and no identity is given",
		Advice: "give the file with the secret key: --identity FILE (sealed to " + strings.Join(p.Source.Entry.Manifest.Sealed.Fingerprints, ", ") + ")",
	}
}

// checkPlaces refuses every destination that is there already, whatever it holds.
func (p *Plan) checkPlaces() error {
	for _, d := range p.Dirs {
		_, err := os.Lstat(d.Dir)
		if a := p.aside(d.Dir); a != nil && err == nil {
			if err := p.checkAside(a); err != nil {
				return err
			}
			err = fs.ErrNotExist // by then
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrInvalid):
			return err
		case err != nil: // a file where a folder should be
			return &Refusal{What: fmt.Sprintf("cannot restore into %s: %v", d.Dir, err), Safe: "choose another directory"}
		default:
			return p.exists(d)
		}
		if member := insideMember(d.Dir); member != "" {
			return &Refusal{
				What: fmt.Sprintf("%s would lie inside %s, which is the data directory of an etcd member", d.Dir, member),
				Safe: "choose a directory beside it", Err: fs.ErrExist,
			}
		}
	}
	if p.Out == "" {
		return nil
	}
	if st, err := os.Stat(p.Out); err == nil && !st.IsDir() {
		return &Refusal{What: p.Out + " is a file", Safe: "choose another directory"}
	}
	return nil
}

// insideMember finds the data directory of an etcd member that dir would lie in, "" if there is none.
func insideMember(dir string) string {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		for _, part := range []string{"member/wal", "member/snap"} {
			if st, err := os.Stat(filepath.Join(up, part)); err == nil && st.IsDir() {
				return up
			}
		}
		if up == filepath.Dir(up) {
			return ""
		}
	}
}

func (p *Plan) exists(d Target) error {
	safe := "have it moved aside with --move-aside, or choose another directory"
	if entries, err := os.ReadDir(d.Dir); err == nil && len(entries) == 0 {
		safe = "it is empty: remove it (rmdir " + d.Dir + "); if it is a mount point, restore into a directory beneath it, and give etcd that as --data-dir"
	}
	what := d.Dir + " exists, and a restore never touches what exists"
	if by := holder.Of(d.Dir); by != "" {
		what += "; " + by + " uses it"
		safe = "stop that etcd, then " + safe
	}
	return &Refusal{What: what, Safe: safe, Err: fs.ErrExist}
}

// checkProcesses looks for an etcd that would write into what is restored, or still holds what was removed there.
func (p *Plan) checkProcesses() error {
	if p.IgnoreRunning {
		return nil
	}
	for _, d := range p.Dirs {
		if p.aside(d.Dir) != nil {
			continue // it is there, and nobody is at work on it
		}
		if by := holder.Of(d.Dir); by != "" {
			return &Refusal{
				What:     fmt.Sprintf("%s is at work on %s, although the directory is gone", by, d.Dir),
				Safe:     "stop it first (a static pod stops when its manifest is moved out of the manifests folder)",
				Override: "--ignore-running-etcd (if it is another cluster's, in a container where that path means another directory)",
			}
		}
	}
	return nil
}

func (p *Plan) checkRoom() error {
	parent, _, _ := p.place()
	return p.checkSpace(parent)
}

// checkSpace wants room for what is needed where dir is or will be.
func (p *Plan) checkSpace(dir string) error {
	if p.IgnoreFreeSpace {
		return nil
	}
	at, err := existing(dir)
	if err != nil {
		return err
	}
	free, err := freeBytes(at)
	if err != nil {
		return err
	}
	if free >= p.BytesNeeded {
		return nil
	}
	return &Refusal{
		What:     fmt.Sprintf("the restore needs up to %d MiB, and %s has %d MiB free", mebibytes(p.BytesNeeded), at, free>>20),
		Safe:     cmp.Or(p.RoomAdvice, "make room, choose a directory on another disk, or restore one member at a time with --member"),
		Override: "--ignore-free-space",
	}
}

// existing is the deepest folder on the way to path that is there.
func existing(path string) (string, error) {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
		path = filepath.Dir(path)
	}
}

// mebibytes rounds up.
func mebibytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }
