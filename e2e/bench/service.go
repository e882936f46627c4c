package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// idleService is one that waits.
const idleService = "idle"

const (
	serviceClusters = 500
	jobsPerCluster  = 4
	// idleFor is how long the idle service is watched: some of the minutes at which it looks at the clock are in it.
	idleFor = 3 * time.Minute
)

// idle is what a service costs that has nothing to do.
type idle struct {
	ready, first      time.Duration // until it served, and until the first turn of every job was over
	cpu, watched      time.Duration
	resident, highest int64 // bytes
	threads           int
}

// benchService starts `lifeboat run` with many clusters whose etcd never says a word, so that every job fails once at the start, backups by their timeout,
// after which none is tried again; and watches it when nothing is due any more.
func benchService(ctx context.Context, lifeboat, dir string) (i idle, err error) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return i, err
	}
	defer silent.Close()
	config, err := writeService(lifeboat, dir, idleClusters(silent.Addr().String()))
	if err != nil {
		return i, err
	}
	cmd := exec.CommandContext(ctx, lifeboat, "run", "--config", config, "--parallel", "8")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return i, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }()
	log := bufio.NewScanner(stderr)
	over := 0
	for over < serviceClusters*(jobsPerCluster-1) && log.Scan() { // nothing tells of pruning, so it is not made up for
		switch {
		case strings.Contains(log.Text(), "msg=serving"):
			i.ready = time.Since(began)
		case strings.Contains(log.Text(), `msg="job failed"`):
			over++
		}
	}
	i.first = time.Since(began)
	go io.Copy(io.Discard, stderr)
	before, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return i, fmt.Errorf("it ended after %d jobs: %w", over, err)
	}
	watched := time.Now()
	select {
	case <-ctx.Done():
		return i, ctx.Err()
	case <-time.After(idleFor):
	}
	after, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return i, err
	}
	i.cpu, i.watched = after-before, time.Since(watched)
	return i, i.memoryOf(cmd.Process.Pid)
}

// idleClusters have jobs that have no slot for weeks, of an etcd that does not answer.
func idleClusters(etcd string) (text string) {
	now := time.Now()
	for n := range serviceClusters {
		text += fmt.Sprintf("- {name: c%03d, endpoints: [\"http://%s\"], sinks: [here], timezone: Europe/Berlin, jitter: 1h, schedule: %q, timeout: 100ms,", n, etcd, farFrom(now, 3))
		text += fmt.Sprintf(" verify: {schedule: %q}, rehearse: {schedule: %q}, prune: {schedule: %q}, retention: {last: 3}}\n", farFrom(now, 4), farFrom(now, 5), farFrom(now, 6))
	}
	return text
}

// farFrom is a schedule with an hour of a day each month which is weeks away.
func farFrom(now time.Time, hour int) string {
	return fmt.Sprintf("0 %d %d * *", hour, now.UTC().AddDate(0, 0, 20).Day())
}

// writeService makes the configuration of a service that keeps the backups of these clusters in dir/service, with a key of their own.
func writeService(lifeboat, dir, clusters string) (config string, err error) {
	bucket, key := filepath.Join(dir, "service"), filepath.Join(dir, "service.key")
	if err := os.Mkdir(bucket, 0o700); err != nil {
		return "", err
	}
	if out, err := exec.Command(lifeboat, "key", "new", key).CombinedOutput(); err != nil {
		return "", fmt.Errorf("key new: %w\n%s", err, out)
	}
	text := fmt.Sprintf("clusters:\n%ssinks: {here: {url: \"file://%s\"}}\nencryption: {recipients-file: %s.pub, identity: [%s]}\n", clusters, bucket, key, key)
	config = filepath.Join(dir, "service.yaml")
	return config, os.WriteFile(config, []byte(text), 0o600)
}

var statusLine = regexp.MustCompile(`(?m)^(VmRSS|VmHWM|Threads):\s+(\d+)`)

func (i *idle) memoryOf(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	for _, m := range statusLine.FindAllStringSubmatch(string(status), -1) {
		n, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return err
		}
		switch m[1] {
		case "VmRSS":
			i.resident = n << 10
		case "VmHWM":
			i.highest = n << 10
		case "Threads":
			i.threads = int(n)
		}
	}
	return nil
}

func (i idle) report(out io.Writer) {
	fmt.Fprintf(out, "lifeboat run, %d clusters with %d jobs each, nothing due: %.3f %% of a core (%s in %s), %d MB resident, %d MB at most, %d threads\n",
		serviceClusters, jobsPerCluster, 100*i.cpu.Seconds()/i.watched.Seconds(), i.cpu, i.watched.Round(time.Second), i.resident/1e6, i.highest/1e6, i.threads)
	fmt.Fprintf(out, "its configuration was read and checked in %s; %d jobs that were missed and failed were over after %s\n\n",
		i.ready.Round(10*time.Millisecond), serviceClusters*(jobsPerCluster-1), i.first.Round(100*time.Millisecond))
}
