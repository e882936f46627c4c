// Package demo shows the main job from end to end, with real parts only: a cluster of etcd is filled, backed up through the
// real pipeline, destroyed, restored, rehearsed, and compared with what it was.
//
// It refuses to touch anything that it has not made itself, and it takes nobody's word for the result: what is compared was
// asked of the source over RPC while it lived, and of the restored members once they served.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

const (
	clusterName = "demo"
	dirMode     = 0o700
	fileMode    = 0o600

	// serveTimeout is for members to serve, on a machine that is busy with other things.
	serveTimeout = 90 * time.Second
)

// Options say how to run the demo.
type Options struct {
	// Keep leaves everything in this directory, which must be empty or missing; "" uses a temporary one and removes it.
	Keep string
	// Damage flips one bit in a value of a restored member before it starts. The comparison has to find it.
	Damage bool
	Out    io.Writer // the story
	Tool   string    // our version
	Log    *slog.Logger
}

// DifferentError is a restored cluster that is not what the source was.
type DifferentError struct {
	Reason string
	asked  bool // by Options.Damage
}

func (e *DifferentError) Error() string { return e.Reason }

// Hint tells what that means.
func (e *DifferentError) Hint() string {
	if e.asked {
		return "that is the damage you asked for: the backup is whole, and the comparison has teeth"
	}
	return "run it again with --keep DIR and look at the members' logs: this should never happen"
}

// NotEmptyError is a directory to keep the demo in that holds something already.
type NotEmptyError struct{ Dir string }

func (e *NotEmptyError) Error() string { return e.Dir + " is not empty" }

// Hint tells what to give instead.
func (e *NotEmptyError) Hint() string {
	return "give --keep a directory that is empty or does not exist"
}

// Run tells the story. It returns *DifferentError if the comparison at its end fails, and any other error if it could not be
// told to the end. Nothing is left behind, unless Options.Keep.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := workplace(o.Keep)
	if err != nil {
		return err
	}
	d := &demo{Options: o, dir: dir, story: &story{w: o.Out, began: time.Now()}}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // whatever failed, failed because of that
		}
		err = errors.Join(err, d.end())
	}()
	d.story.print("Everything happens in %s and on loopback; the commands shown are run here by the same code.", d.dir)
	for _, step := range []func(context.Context) error{
		d.startCluster, d.backUp, d.destroy, d.restorePlain, d.restoreBumped, d.rehearse,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return errors.Join(d.conclude(), d.story.err)
}

// demo is one under way.
type demo struct {
	Options
	dir   string
	story *story

	cluster *throwaway.Cluster // at first the source, later the restored one: same names, addresses and certificates
	keys    keyFiles
	backup  *backup.Result

	head    int64           // the highest revision the source told anybody
	records []record        // every key of the source at the backup's revision
	rows    []rehearsal.Row // the comparison, asked of the source, the backup and the restored members
	wrong   []string        // differences, in sentences
}

func workplace(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "lifeboat-demo-")
	}
	dir, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir, os.MkdirAll(dir, dirMode)
	case err != nil:
		return "", err
	case len(entries) > 0:
		return "", &NotEmptyError{dir}
	}
	return dir, nil
}

// end stops what runs and removes what was made.
func (d *demo) end() error {
	var err error
	if d.cluster != nil {
		err = d.cluster.Kill()
	}
	if d.Keep == "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

// path is a place in the demo's directory.
func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// differs notes that something is not as it was. The story goes on: the table at its end shows the whole extent.
func (d *demo) differs(format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// conclude prints the comparison and gives the verdict.
func (d *demo) conclude() error {
	s := d.story
	s.step("The comparison: the source, asked while it lived, and every restored member")
	if err := s.table(func(w io.Writer) error { return rehearsal.WriteRows(w, d.rows) }); err != nil {
		return err
	}
	s.say("")
	if len(d.wrong) > 0 {
		for _, w := range d.wrong {
			s.say("DIFFERENT: %s", w)
		}
		return &DifferentError{"what was restored is not what was backed up: " + d.wrong[0], d.Damage}
	}
	s.say("Nothing is missing: every restored member holds all %s keys of the source, each with the value, the revisions,", grouped(int64(len(d.records))))
	s.say("the version and the lease it had, and nothing else; HashKV says the same of all history since the last compaction.")
	if d.Keep != "" {
		s.say("")
		s.say("Everything is left in %s. Look around:", d.dir)
		s.command("cd %s", d.dir)
		for _, c := range []string{"list", "verify latest --deep", "rehearse latest"} {
			s.command("lifeboat %s %s", c, d.access(c != "list"))
		}
	}
	return nil
}

// access are the flags that reach the bucket of this demo and open what is in it, as typed in its directory.
func (d *demo) access(opening bool) string {
	flags := d.sinkFlag() + " --trusted-keys-file keys/signing.key.pub"
	if opening {
		flags += " --identity keys/operator.key"
	}
	return flags
}

func (*demo) sinkFlag() string { return "--sink file://$PWD/bucket" }

// deps are what a restore works with.
func (d *demo) deps(sinks []catalog.Named) restore.Deps {
	return restore.Deps{Sinks: sinks, Identities: d.keys.identities, Log: d.Log, StartsHere: true}
}
