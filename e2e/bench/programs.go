package main

import (
	"os/exec"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// programs are the paths of everything that runs.
type programs struct{ lifeboat, etcd, etcdctl, etcdutl, age, zstd, s5cmd string }

func findPrograms(version, dir string) (p programs, err error) {
	if p.lifeboat, err = lab.BuildLifeboat(dir); err != nil {
		return p, err
	}
	for _, want := range []struct {
		at             *string
		module, binary string
	}{
		{&p.etcd, "etcd-" + version, "etcd"},
		{&p.etcdctl, "etcd-" + version, "etcdctl"},
		{&p.etcdutl, "etcd-" + version, "etcdutl"},
		{&p.age, "age", "age"},
		{&p.zstd, tools.Debian, "zstd"},
		{&p.s5cmd, tools.S5cmd, "s5cmd"},
	} {
		if *want.at, err = tools.Path(want.module, want.binary); err != nil {
			return p, err
		}
	}
	return p, nil
}

// shell is a pipeline, which is how a user puts stock tools together. It fails if any part does.
func shell(script string) *exec.Cmd {
	return exec.Command("bash", "-o", "pipefail", "-euc", script)
}
