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
		return fmt.Sprintf("%s --endpoints %s snapshot save %s/snapshot.db >/dev/null", p.etcdctl, s.endpoint, dir)
	}
	return &contest{title: "backup", ways: []way{
		{
			name: "lifeboat backup",
			does: "compressed (zstd -1), encrypted, durable; bbolt check, keys counted and HashKV computed in the plain file; " +
				"the stored file read back, decrypted and compared; manifest",
			steps: func(dir string) []*exec.Cmd { return []*exec.Cmd{s.backup(p, dir, dir)} },
		},
		{
			name:  "etcdctl snapshot save",
			does:  "plain and durable; nothing checked, compressed or encrypted",
			steps: func(dir string) []*exec.Cmd { return []*exec.Cmd{shell(save(dir) + "; sync " + dir)} },
		},
		{
			name: "etcdctl snapshot save && zstd | age",
			does: "compressed (zstd -1 on all CPUs), encrypted, durable, the plain file removed; nothing checked or read back",
			steps: func(dir string) []*exec.Cmd {
				return []*exec.Cmd{shell(save(dir) + fmt.Sprintf("; %s -1 -T0 -q -c %s/snapshot.db | %s -R %s -o %s/sealed; rm %s/snapshot.db; sync %s/sealed %s",
					p.zstd, dir, p.age, s.recipients, dir, dir, dir, dir))}
			},
		},
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
		// Members and nothing else: other files of this disk are not theirs to wait for.
		return append(all, shell(fmt.Sprintf("find %s/m1 %s/m2 %s/m3 -exec sync {} +; sync %s", dir, dir, dir, dir)))
	}
	return &contest{title: "restore of three members", ways: []way{
		{
			name: "lifeboat restore",
			does: "from the sealed file: its digest compared, opened, SHA-256 compared; bbolt check, keys counted, HashKV computed before and after the edit, " +
				"every member's file compared with it; revision bumped; durable",
			steps: func(dir string) []*exec.Cmd {
				return []*exec.Cmd{exec.Command(p.lifeboat, "restore", "latest", "--sink", "file://"+s.bucket, "--identity", s.identity,
					"--out", filepath.Join(dir, "out"), "--initial-cluster", cluster)}
			},
		},
		{
			name: "age -d | zstd -d, then etcdutl snapshot restore × 3",
			does: "from the sealed file: opened, SHA-256 compared by each run; revision bumped; durable",
			steps: func(dir string) []*exec.Cmd {
				plain := filepath.Join(dir, "snapshot.db")
				open := shell(fmt.Sprintf("%s -d -i %s %s | %s -d -q -o %s", p.age, s.identity, s.sealed, p.zstd, plain))
				return append([]*exec.Cmd{open}, etcdutl(dir, plain)...)
			},
		},
		{
			name:  "etcdutl snapshot restore × 3",
			does:  "from a plain snapshot that lies there already; SHA-256 compared by each run; revision bumped; durable",
			steps: func(dir string) []*exec.Cmd { return etcdutl(dir, s.saved) },
		},
	}}
}
