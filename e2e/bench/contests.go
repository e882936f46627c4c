package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// backupContest is one sealed, verified and committed backup in a directory, against a bare save (which neither checks, compresses nor
// encrypts) and against the pipeline of stock tools.
func backupContest(p programs, s *source) *contest {
	save := func(dir string) string {
		return fmt.Sprintf("%s --endpoints %s snapshot save %s/snapshot.db >/dev/null 2>&1", p.etcdctl, s.endpoint, dir)
	}
	return &contest{title: "backup", ways: []way{
		{"lifeboat backup", func(dir string) []*exec.Cmd {
			return []*exec.Cmd{s.backup(p, dir, dir)}
		}},
		{"etcdctl snapshot save", func(dir string) []*exec.Cmd {
			return []*exec.Cmd{shell(save(dir))}
		}},
		{"etcdctl snapshot save && zstd | age", func(dir string) []*exec.Cmd {
			return []*exec.Cmd{shell(save(dir) + fmt.Sprintf(" && %s -1 -q -c %s/snapshot.db | %s -R %s -o %s/sealed; rm %s/snapshot.db; sync %s/sealed",
				p.zstd, dir, p.age, s.recipients, dir, dir, dir))}
		}},
	}}
}

func (s *source) backup(p programs, bucket, spool string) *exec.Cmd {
	return exec.Command(p.lifeboat, "backup", "--endpoints", s.endpoint, "--recipients-file", s.recipients,
		"--sink", "file://"+bucket, "--spool-dir", spool)
}

// restoreContest is three members' directories from the sealed backup, against opening it with stock tools and one etcdutl run for each member,
// and against those three runs alone, on a snapshot that lies there opened.
func restoreContest(p programs, s *source) *contest {
	const cluster = "m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380"
	etcdutl := func(dir, snapshot string) []*exec.Cmd {
		var all []*exec.Cmd
		for i, name := range []string{"m1", "m2", "m3"} {
			all = append(all, exec.Command(p.etcdutl, "snapshot", "restore", snapshot, "--name", name, "--data-dir", filepath.Join(dir, name),
				"--initial-cluster", cluster, "--initial-advertise-peer-urls", fmt.Sprintf("http://127.0.0.1:%d2380", i+1),
				"--bump-revision", "1000000000", "--mark-compacted"))
		}
		return append(all, shell("sync -f "+dir))
	}
	return &contest{title: "restore of three members", ways: []way{
		{"lifeboat restore (opens the sealed file)", func(dir string) []*exec.Cmd {
			return []*exec.Cmd{exec.Command(p.lifeboat, "restore", "latest", "--sink", "file://"+s.bucket, "--identity", s.identity,
				"--out", filepath.Join(dir, "out"), "--initial-cluster", cluster)}
		}},
		{"age -d | zstd -d, then etcdutl × 3", func(dir string) []*exec.Cmd {
			plain := filepath.Join(dir, "snapshot.db")
			open := shell(fmt.Sprintf("%s -d -i %s %s | %s -d -q -o %s", p.age, s.identity, s.sealed, p.zstd, plain))
			return append([]*exec.Cmd{open}, etcdutl(dir, plain)...)
		}},
		{"etcdutl × 3 alone", func(dir string) []*exec.Cmd { return etcdutl(dir, s.saved) }},
	}}
}
