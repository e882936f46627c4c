package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/lifeboat-dr/lifeboat/internal/holder"
)

// An Aside is an existing data directory that makes way for a restored one: it is renamed, and never touched otherwise.
type Aside struct {
	Dir string `json:"dir"`
	To  string `json:"to"`
	by  string // the name under which both stand for a moment, while they change places
}

// settleAsides gives every existing destination the name it is moved to: that of the directory and which backup it made way for.
func (p *Plan) settleAsides() error {
	p.Asides = nil
	if !p.MoveAside {
		return nil
	}
	id := p.Source.ID
	if p.Source.Entry == nil {
		id = id[:min(len(id), 12)] // of a local file's SHA-256
	}
	for _, t := range p.Dirs {
		if _, err := os.Lstat(t.Dir); err == nil {
			p.Asides = append(p.Asides, Aside{Dir: t.Dir, To: free(t.Dir + ".before-" + id), by: free(t.Dir + ".exchanged-" + id)})
		}
		if both := t.Dir + ".exchanged-" + id; present(both) {
			p.attend("%s was left by a restore that was interrupted while two directories changed places: it is the old one if %s is a restored one, and the restored one otherwise; it stays", both, t.Dir)
		}
	}
	return nil
}

// free adds -2, -3 … to a name that is taken.
func free(name string) string {
	for n, try := 2, name; ; n++ {
		if !present(try) {
			return try
		}
		try = fmt.Sprintf("%s-%d", name, n)
	}
}

func present(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// aside is what becomes of what stands at dir; nil leaves it where it is.
func (p *Plan) aside(dir string) *Aside {
	i := slices.IndexFunc(p.Asides, func(a Aside) bool { return a.Dir == dir })
	if i < 0 {
		return nil
	}
	return &p.Asides[i]
}

// checkAside refuses to move what is no data directory, cannot be moved, or is in use.
func (p *Plan) checkAside(a *Aside) error {
	st, err := os.Lstat(a.Dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(a.Dir)
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return &Refusal{
			What: a.Dir + " is a link, and --move-aside moves directories", Err: fs.ErrExist,
			Safe: "give the directory that it leads to as --data-dir; the link stays right",
		}
	case !st.IsDir():
		return &Refusal{What: a.Dir + " is a file", Safe: "choose another directory", Err: fs.ErrExist}
	case err != nil:
		return err
	case mounted(a.Dir):
		return &Refusal{
			What: a.Dir + " is a mount point, which cannot be moved", Err: fs.ErrExist,
			Safe: "restore into a directory beneath it, and give etcd that as --data-dir",
		}
	case len(entries) > 0 && !present(filepath.Join(a.Dir, "member")):
		return &Refusal{
			What: a.Dir + " holds something else than the data of an etcd: --move-aside does not move it", Err: fs.ErrExist,
			Safe: "move it yourself if it is in the way, or choose another directory",
		}
	}
	return inUse(a.Dir)
}

// inUse refuses a directory that a running etcd has.
func inUse(dir string) error {
	by := holder.Of(dir)
	if by == "" && locked(filepath.Join(dir, "member", "snap", "db")) {
		by = "a process that cannot be seen from here"
	}
	if by == "" {
		return nil
	}
	return &Refusal{
		What: fmt.Sprintf("%s is in use by %s: it cannot be moved aside", dir, by), Err: fs.ErrExist,
		Safe: "stop that etcd first (a static pod stops when its manifest is moved out of the manifests folder)",
	}
}

// locked reports whether a process holds a database as etcd does while it runs, in whichever container.
func locked(db string) bool {
	f, err := os.Open(db)
	if err != nil {
		return false // no database, nobody who holds it
	}
	defer f.Close()
	return !holder.LockShared(f)
}

// replace puts from in the place of a.Dir, which gets the name a.To, and tells how to take that back. The two change places in one step
// where the file system can, so that at every moment one of them stands there; elsewhere the place is empty for a moment, and both
// have names.
func (r *runner) replace(from string, a Aside) (undo func() error, err error) {
	if err := inUse(a.Dir); err != nil { // it may have been started meanwhile
		return nil, err
	}
	steps := []rename{{from, a.by, moveNew}, {a.by, a.Dir, exchange}, {a.by, a.To, moveNew}}
	if r.plain || !canExchange(from) {
		steps = []rename{{from, a.by, moveNew}, {a.Dir, a.To, moveNew}, {a.by, a.Dir, moveNew}}
	}
	done := 0
	undo = func() error {
		var errs []error
		for ; done > 0; done-- {
			s := steps[done-1]
			errs = append(errs, s.how(s.to, s.from))
		}
		return errors.Join(errs...)
	}
	for i, s := range steps {
		err := s.how(s.from, s.to)
		if err == nil {
			done++
			err = r.at(fmt.Sprintf("aside %d of %s", i+1, filepath.Base(a.Dir)))
		}
		if err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	return undo, nil
}

// A rename is one step of making directories change places.
type rename struct {
	from, to string
	how      func(from, to string) error
}

// canExchange finds out whether the file system of dir, a directory of ours, can exchange two names.
func canExchange(dir string) bool {
	a, b := filepath.Join(dir, "exchange-a"), filepath.Join(dir, "exchange-b")
	defer os.Remove(a)
	defer os.Remove(b)
	return os.Mkdir(a, dirMode) == nil && os.Mkdir(b, dirMode) == nil && exchange(a, b) == nil
}
