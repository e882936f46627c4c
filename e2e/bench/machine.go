package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// machine is what this machine takes to do the least to the same bytes: no backup can hash or compress them faster, no restore can write them faster.
func (s *scene) machine() *contest {
	made := func(p place) []string { return []string{p.dir} }
	return &contest{name: machine, title: "the machine, with the plain snapshot", ways: []way{
		{
			name: "copy", does: "by cp, without reflink; durable", keeps: made,
			steps: func(p place) []*exec.Cmd {
				return []*exec.Cmd{shell(fmt.Sprintf("cp --reflink=never %s %s/copy; sync %s/copy %s", s.plain, p.dir, p.dir, p.dir))}
			},
		},
		{
			name: "SHA-256", does: "read and hashed by one CPU, with the library of Lifeboat and etcd: the sha256sum of many distributions knows no SHA instructions", keeps: made,
			steps: func(place) []*exec.Cmd { return []*exec.Cmd{child.Command(context.Background(), hashRole, s.plain)} },
		},
		{
			name: "zstd -1", does: "compressed on all CPUs, written nowhere", keeps: made,
			steps: func(place) []*exec.Cmd {
				return []*exec.Cmd{shell(fmt.Sprintf("%s -1 -T0 -q -c %s >/dev/null", s.zstd, s.plain))}
			},
		},
	}}
}

// hashRole is this program as a process that reads a file and prints its SHA-256.
const hashRole = "sha256"

func hashFile(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	sum, err := sha256Of(args)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	fmt.Fprintf(stdout, "%x\n", sum)
	return 0
}

func sha256Of(args []string) ([]byte, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("hash one file, not %d", len(args))
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return h.Sum(nil), err
}

// describeMachine says where and when a run took place, without which its times mean nothing.
func describeMachine(o options, dir string) string {
	instructions := "no SHA instructions"
	if cpuLine("flags", `\b(sha_ni|sha2)\b`) != "" || cpuLine("Features", `\bsha2\b`) != "" {
		instructions = "SHA instructions"
	}
	model := cpuLine("model name", `.+`)
	if model == "" {
		model = runtime.GOARCH
	}
	return fmt.Sprintf("%s; %d CPUs (%s, %s), %s of memory, %s, Linux %s, %s; etcd %s; medians of %d runs in turns\n",
		time.Now().Format("2006-01-02"), runtime.NumCPU(), model, instructions, memoryText(), output("findmnt", "-n", "-o", "FSTYPE", "-T", dir),
		output("uname", "-r"), runtime.Version(), o.version, o.runs)
}

// cpuLine finds a pattern in a line of the first CPU's description.
func cpuLine(name, pattern string) string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	line := regexp.MustCompile(`(?m)^` + name + `\s*: (.*)$`).FindStringSubmatch(string(text))
	if line == nil {
		return ""
	}
	return regexp.MustCompile(pattern).FindString(line[1])
}

func memoryText() string {
	total, err := memory("MemTotal")
	if err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.1f GiB", gib(total))
}

// output is what a command says, or its name with a question mark.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return filepath.Base(name) + "?"
	}
	return strings.TrimSpace(string(out))
}
