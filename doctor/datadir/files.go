package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/holder"
)

// files is what lies in a data directory, by name and kind only.
type files struct {
	path     string
	data     bool     // there is something of an etcd
	db       *os.File // member/snap/db, nil if there is none that can be read; shared-locked unless somebody holds it
	locked   bool     // somebody does
	snapDir  string
	walDir   string
	snaps    []string // *.snap, the newest first
	segments []string // *.wal, the oldest first
	snapDBs  []string // databases that a leader sent and that etcd has not yet put in place

	modified time.Time
	size     int64
	dbSize   int64
	findings []Finding
}

// survey looks at names and kinds, and opens the database. An error is the machine's: no such directory, no permission.
func survey(path string) (_ *files, err error) {
	f := &files{path: path}
	defer func() {
		if err != nil {
			f.close()
			err = fmt.Errorf("look into %s: %w", path, err)
		}
	}()
	st, err := os.Stat(path)
	if err != nil {
		return f, err
	}
	if !st.IsDir() {
		return f, errors.New("it is a file: give the data directory, which holds member/snap/db")
	}
	member := filepath.Join(path, "member")
	if _, err := os.Lstat(member); errors.Is(err, fs.ErrNotExist) {
		member = path // DIR/member itself was given, or nothing at all is there
	}
	f.snapDir, f.walDir = filepath.Join(member, "snap"), filepath.Join(member, "wal")
	if err := f.listSnaps(); err != nil {
		return f, err
	}
	if err := f.listSegments(); err != nil {
		return f, err
	}
	if f.data = f.data || len(f.segments) > 0; !f.data && len(f.findings) == 0 {
		f.add(NoData, true, "there is no database and no write-ahead log in it: an etcd that is started on it begins a new, empty member",
			"check the path (etcd's --data-dir), and that its volume is mounted; an etcd that knew a cluster must not be started on it")
	}
	return f, nil
}

// list reads a directory. A missing one is empty; something else in its place is a finding.
func (f *files) list(dir string) ([]fs.FileInfo, error) {
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dir); err == nil {
			f.wrongKind(dir, "a link that leads nowhere")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		f.wrongKind(dir, "no directory")
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var infos []fs.FileInfo
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link that leads nowhere, or gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, named{info, e.Name()})
		if info.Mode().IsRegular() {
			f.size += info.Size()
		}
	}
	return infos, nil
}

// named keeps a link's own name beside what is known of its target.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

func (f *files) listSnaps() error {
	infos, err := f.list(f.snapDir)
	if err != nil {
		return err
	}
	var broken, temporary []string
	for _, info := range infos {
		name := info.Name()
		switch {
		case name == "db":
			if err := f.openDB(info); err != nil {
				return err
			}
		case strings.HasSuffix(name, ".broken"):
			broken = append(broken, name)
		case strings.HasPrefix(name, "db.tmp") || strings.HasPrefix(name, "tmp"):
			temporary = append(temporary, name)
		case strings.HasSuffix(name, ".snap.db"):
			f.snapDBs = append(f.snapDBs, name)
		case strings.HasSuffix(name, ".snap") && f.regular(info, f.snapDir):
			f.data = true
			f.snaps = append(f.snaps, name)
		}
	}
	slices.Sort(f.snaps)
	slices.Reverse(f.snaps)
	f.leftovers(broken, temporary)
	return nil
}

func (f *files) listSegments() error {
	infos, err := f.list(f.walDir)
	if err != nil {
		return err
	}
	var broken []string
	for _, info := range infos {
		name := info.Name()
		switch {
		case strings.HasSuffix(name, ".broken"):
			broken = append(broken, name)
		case isSegment(name) && f.regular(info, f.walDir):
			f.segments = append(f.segments, name)
			f.touched(info)
		}
	}
	slices.Sort(f.segments)
	aside, err := os.ReadDir(filepath.Dir(f.walDir))
	if err != nil {
		return err
	}
	for _, e := range aside {
		if strings.HasPrefix(e.Name(), "wal.broken.") {
			broken = append(broken, e.Name())
		}
	}
	f.leftovers(broken, nil)
	return nil
}

// isSegment judges a name as etcd does.
func isSegment(name string) bool {
	_, _, err := segmentName(name)
	return err == nil
}

// segmentName takes a name apart: the number of the segment, and the index of the first entry that it is for.
func segmentName(name string) (seq, index uint64, err error) {
	if !strings.HasSuffix(name, ".wal") {
		return 0, 0, errors.New("no segment")
	}
	_, err = fmt.Sscanf(name, "%016x-%016x.wal", &seq, &index)
	return seq, index, err
}

// openDB opens the database and takes the lock that keeps an etcd from being started on it meanwhile, if nobody holds the other.
func (f *files) openDB(info fs.FileInfo) error {
	if !f.regular(info, f.snapDir) {
		f.data = true
		return nil
	}
	db, err := os.Open(filepath.Join(f.snapDir, "db"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.data, f.db, f.dbSize = true, db, info.Size()
	f.locked = !holder.LockShared(db)
	f.touched(info)
	return nil
}

// regular reports whether something is a file. To open anything else could block for ever.
func (f *files) regular(info fs.FileInfo, dir string) bool {
	if info.Mode().IsRegular() {
		return true
	}
	f.wrongKind(filepath.Join(dir, info.Name()), "no regular file")
	return false
}

func (f *files) touched(info fs.FileInfo) {
	if info.ModTime().After(f.modified) {
		f.modified = info.ModTime()
	}
}

// holder names the process that works on the directory, "" if nobody does.
func (f *files) holder() string {
	dir, err := filepath.Abs(f.path)
	if err != nil {
		dir = f.path
	}
	if filepath.Dir(f.snapDir) == filepath.Clean(f.path) { // DIR/member was given
		dir = filepath.Dir(dir)
	}
	if by := holder.Of(dir); by != "" {
		return by
	}
	if f.locked {
		return "a process that cannot be seen from here"
	}
	return ""
}

func (f *files) close() {
	if f.db != nil {
		_ = f.db.Close() // was only read
	}
}

func (f *files) add(code string, severe bool, detail, advice string) {
	f.findings = append(f.findings, Finding{Code: code, Detail: detail, Advice: advice, Severe: severe})
}

func (f *files) wrongKind(path, what string) {
	f.add(WrongKind, true, fmt.Sprintf("%s is %s: etcd does not start on it", path, what), "find out who put it there, and where what belongs there is now")
}

func (f *files) leftovers(broken, temporary []string) {
	if len(broken) > 0 {
		f.add(BrokenFiles, false, fmt.Sprintf("%s: etcd itself found these damaged at an earlier start and put them aside", strings.Join(broken, ", ")),
			"look for what the disk said at the time of these files; they are not needed any more once the member serves")
	}
	if len(temporary) > 0 {
		f.add(TemporaryFiles, false, fmt.Sprintf("%s: left by a defragmentation or a transfer that was cut off", strings.Join(temporary, ", ")),
			"etcd removes them at its next start")
	}
}
