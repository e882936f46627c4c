package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

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
	text, _ := os.ReadFile("/proc/meminfo")
	var kB int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kB); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.1f GiB", gib(kB<<10))
}

// output is what a command says, or its name with a question mark.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return filepath.Base(name) + "?"
	}
	return strings.TrimSpace(string(out))
}
