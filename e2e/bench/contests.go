package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// The contests of each database.
const (
	backupDir    = "backup-dir"
	backupMinIO  = "backup-minio"
	machine      = "machine"
	restoreThree = "restore-three"
	restoreOne   = "restore-one"
	restoreMinIO = "restore-three-minio"
)

const (
	doesBackup = "compressed (zstd, the Go library's fastest level), encrypted, durable; bbolt check, keys counted and HashKV computed in the plain file; " +
		"the stored file read back, decrypted and compared; manifest"
	doesPipeline = "compressed (zstd -1 on all CPUs), encrypted, durable, the plain file removed; its length checked, nothing read back"
	doesRestore  = "from the sealed file: its digest compared, opened, SHA-256 compared; bbolt check, keys counted, HashKV computed before and after the edit, " +
		"every piece of the other members' files read back, from memory, as it was written, and written again where the edit changed it; revision bumped; durable"
	doesEtcdutl = "from the sealed file: opened, the SHA-256 of the copy compared by each run; one run after another; revision bumped; durable"
)

// backups are taken into a directory, sealed, verified and committed, against a bare save (which neither checks, compresses nor encrypts) and the
// pipeline of stock tools; and to MinIO, against that pipeline with a stock client.
func (s *scene) backups() []*contest {
	return []*contest{
		{name: backupDir, title: "backup to a directory", ways: []way{
			{
				name: "lifeboat backup", does: doesBackup, ours: true, reports: true,
				steps: func(p place) []*exec.Cmd { return []*exec.Cmd{s.backup(p.dir, "file://"+p.dir)} },
				keeps: func(p place) []string { return []string{p.dir} },
			},
			{
				name:  "etcdctl snapshot save",
				does:  "plain and durable; its length checked, nothing compressed or encrypted",
				steps: func(p place) []*exec.Cmd { return []*exec.Cmd{shell(s.save(p.dir) + "; sync " + p.dir)} },
				keeps: func(p place) []string { return []string{p.dir + "/snapshot.db"} },
			},
			{
				name: "etcdctl snapshot save && zstd \\| age", does: doesPipeline,
				steps: func(p place) []*exec.Cmd {
					return []*exec.Cmd{shell(s.save(p.dir) + "; " + s.seal(p.dir) + fmt.Sprintf("; sync %s/sealed %s", p.dir, p.dir))}
				},
				keeps: func(p place) []string { return []string{p.dir + "/sealed"} },
			},
		}},
		{name: backupMinIO, title: "backup to MinIO", ways: []way{
			{
				name: "lifeboat backup", does: doesBackup, ours: true, reports: true,
				steps: func(p place) []*exec.Cmd {
					return []*exec.Cmd{s.store.with(s.backup(p.dir, s.store.SinkURL(p.bucket)))}
				},
			},
			{
				name: "etcdctl snapshot save && zstd \\| age && s5cmd cp", does: doesPipeline,
				steps: func(p place) []*exec.Cmd {
					upload := fmt.Sprintf("; %s --endpoint-url %s cp %s/sealed s3://%s/sealed >/dev/null", s.s5cmd, s.store.URL, p.dir, p.bucket)
					return []*exec.Cmd{s.store.with(shell(s.save(p.dir) + "; " + s.seal(p.dir) + upload))}
				},
			},
		}},
	}
}

func (s *scene) backup(spool string, sinks ...string) *exec.Cmd {
	args := []string{"backup", "-o", "json", "--endpoints", s.source.endpoint, "--recipients-file", s.recipients, "--spool-dir", spool}
	for _, sink := range sinks {
		args = append(args, "--sink", sink)
	}
	return exec.Command(s.lifeboat, args...)
}

func (s *scene) save(dir string) string {
	return fmt.Sprintf("%s --endpoints %s snapshot save %s/snapshot.db >/dev/null", s.etcdctl, s.source.endpoint, dir)
}

func (s *scene) seal(dir string) string {
	return fmt.Sprintf("%s -1 -T0 -q -c %s/snapshot.db | %s -R %s -o %s/sealed; rm %s/snapshot.db", s.zstd, dir, s.age, s.recipients, dir, dir)
}

// restores make members' directories from the sealed backup, against opening it with stock tools and one etcdutl run for each member.
func (s *scene) restores() []*contest {
	directory := "file://" + s.bucketDir
	opened := func(p place) []*exec.Cmd { return []*exec.Cmd{s.open(s.sealed, p.dir)} }
	downloaded := func(p place) []*exec.Cmd {
		got := filepath.Join(p.dir, "sealed")
		get := shell(fmt.Sprintf("%s --endpoint-url %s cp s3://%s/%s %s >/dev/null", s.s5cmd, s.store.URL, s.bucket, s.sealedKey, got))
		return []*exec.Cmd{s.store.with(get), s.open(got, p.dir)}
	}
	return []*contest{
		{name: restoreThree, title: "restore of three members", ways: []way{
			s.restore(3, directory), s.etcdutlRuns(3, "age -d \\| zstd -d, then etcdutl snapshot restore × 3", opened),
		}},
		{name: restoreOne, title: "restore of one member", ways: []way{
			s.restore(1, directory), s.etcdutlRuns(1, "age -d \\| zstd -d, then etcdutl snapshot restore", opened),
		}},
		{name: restoreMinIO, title: "restore of three members from MinIO", ways: []way{
			s.restore(3, s.store.SinkURL(s.bucket)), s.etcdutlRuns(3, "s5cmd cp, age -d \\| zstd -d, then etcdutl snapshot restore × 3", downloaded),
		}},
	}
}

func (s *scene) restore(members int, sink string) way {
	return way{
		name: "lifeboat restore", does: doesRestore, ours: true,
		steps: func(p place) []*exec.Cmd {
			return []*exec.Cmd{s.store.with(exec.Command(s.lifeboat, "restore", "latest", "--sink", sink, "--identity", s.identity,
				"--out", filepath.Join(p.dir, "out"), "--initial-cluster", initialCluster(members)))}
		},
		keeps: func(p place) []string { return []string{filepath.Join(p.dir, "out")} },
	}
}

func (s *scene) open(sealed, dir string) *exec.Cmd {
	return shell(fmt.Sprintf("%s -d -i %s %s | %s -d -q -o %s/snapshot.db", s.age, s.identity, sealed, s.zstd, dir))
}

// etcdutlRuns makes each member by one run of etcdutl, on the snapshot that the first commands have opened.
func (s *scene) etcdutlRuns(members int, name string, open func(p place) []*exec.Cmd) way {
	folders := func(p place) (all []string) {
		for i := range members {
			all = append(all, fmt.Sprintf("%s/m%d", p.dir, i+1))
		}
		return all
	}
	return way{name: name, does: doesEtcdutl, keeps: folders, steps: func(p place) []*exec.Cmd {
		all := open(p)
		for i, folder := range folders(p) {
			all = append(all, exec.Command(s.etcdutl, "snapshot", "restore", p.dir+"/snapshot.db", "--name", filepath.Base(folder), "--data-dir", folder,
				"--initial-cluster", initialCluster(members), "--initial-advertise-peer-urls", peerURL(i), "--bump-revision", "1000000000", "--mark-compacted"))
		}
		// Members and nothing else: other files of this disk are not theirs to wait for.
		return append(all, shell(fmt.Sprintf("find %s -exec sync {} +; sync %s", strings.Join(folders(p), " "), p.dir)))
	}}
}

func initialCluster(members int) string {
	var all []string
	for i := range members {
		all = append(all, fmt.Sprintf("m%d=%s", i+1, peerURL(i)))
	}
	return strings.Join(all, ",")
}

func peerURL(i int) string { return fmt.Sprintf("http://127.0.0.1:%d2380", i+1) }
