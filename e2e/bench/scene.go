package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// keys are what backups are sealed with: X25519, because the age of many distributions knows nothing else.
type keys struct{ identity, recipients string }

func newKeys(lifeboat, dir string) (keys, error) {
	k := keys{identity: filepath.Join(dir, "age.key"), recipients: filepath.Join(dir, "age.key.pub")}
	if out, err := exec.Command(lifeboat, "key", "new", "--classic", k.identity).CombinedOutput(); err != nil {
		return k, fmt.Errorf("making keys: %w\n%s", err, out)
	}
	return k, nil
}

// scene is what the contests of one database take place in. Restores begin from one backup, which lies in a directory and in MinIO.
type scene struct {
	programs
	keys
	dir     string
	footing *footing
	source  *source
	store   *store

	plain             string // the same as a plain snapshot, while the machine is measured
	bucketDir, sealed string
	bucket, sealedKey string
}

// outcome is what a database's contests have shown.
type outcome struct {
	database
	dbSize, inUse int64 // bytes
	contests      []*contest
}

func (o *outcome) contest(name string) *contest {
	for _, c := range o.contests {
		if c.name == name {
			return c
		}
	}
	return nil
}

// benchDatabase holds all the contests of a database, and leaves nothing in dir.
func benchDatabase(ctx context.Context, o options, p programs, f *footing, dir string, d database) (out *outcome, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &scene{programs: p, footing: f, dir: dir, bucketDir: filepath.Join(dir, "bucket"), plain: filepath.Join(dir, "snapshot.db")}
	if s.keys, err = newKeys(p.lifeboat, dir); err != nil {
		return nil, err
	}
	if s.store, err = startStore(filepath.Join(dir, "minio")); err != nil {
		return nil, err
	}
	defer s.store.stop()
	progress("%s: filling the source", d)
	if s.source, err = startSource(ctx, p.etcd, dir, "source", d); err != nil {
		return nil, err
	}
	if err := f.close(); err != nil { // what is free now lies elsewhere
		return nil, err
	}
	out = &outcome{database: d, dbSize: s.source.dbSize, inUse: s.source.inUse}
	hold := func(contests ...*contest) error {
		for _, c := range contests {
			if !o.wants(c.name) {
				continue
			}
			if err := c.hold(ctx, s, o.runs); err != nil {
				return err
			}
			out.contests = append(out.contests, c)
		}
		return nil
	}
	err = hold(s.backups()...)
	if err == nil {
		err = s.prepare(ctx)
	}
	// The restored members need its room.
	if err := errors.Join(err, s.source.stop()); err != nil {
		return nil, err
	}
	if err := hold(s.machine()); err != nil {
		return nil, err
	}
	if err := os.Remove(s.plain); err != nil {
		return nil, err
	}
	return out, hold(s.restores()...)
}

// prepare takes the backup that the restores begin from, and a plain snapshot.
func (s *scene) prepare(ctx context.Context) (err error) {
	if err := os.Mkdir(s.bucketDir, 0o700); err != nil {
		return err
	}
	if s.bucket, err = s.store.create(ctx); err != nil {
		return err
	}
	for _, cmd := range []*exec.Cmd{s.store.with(s.backup(s.dir, "file://"+s.bucketDir, s.store.SinkURL(s.bucket))), shell(s.save(s.dir))} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	found, err := filepath.Glob(filepath.Join(s.bucketDir, "v1/*/snapshots/*.age"))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("the bucket should hold one sealed file: %q", found)
	}
	s.sealed = found[0]
	s.sealedKey, err = filepath.Rel(s.bucketDir, s.sealed)
	return err
}

// theRest is what neither a way nor a server takes of the processor: the kernel's own threads, this program, whoever else is on the
// machine, and what a host took of it (steal).
const theRest = "the rest"

// timesBeside is the CPU time that each server has taken so far, and, as theRest, all processes together.
func (s *scene) timesBeside() (map[string]time.Duration, error) {
	all, err := cpuOfMachine()
	if err != nil {
		return nil, err
	}
	pids := map[string]int{"MinIO": s.store.pid}
	select {
	case <-s.source.process.Done():
	default:
		pids["etcd"] = s.source.process.Pid()
	}
	times := map[string]time.Duration{theRest: all}
	for name, pid := range pids {
		if times[name], err = cpuOf(pid); err != nil {
			return nil, err
		}
	}
	return times, nil
}
