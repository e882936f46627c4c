package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/restore/like"
)

// readLike reads which member a file starts; nil if none was given.
func readLike(path string) (*like.Node, error) {
	if path == "" {
		return nil, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &usageError{"--like: " + err.Error(), "a static pod manifest that was moved away to stop etcd is read where it lies now: --like /etc/kubernetes/stopped/etcd.yaml"}
	}
	if strings.HasSuffix(path, ".service") {
		more, err := dropIns(path)
		if err != nil {
			return nil, err
		}
		data = append(data, more...)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	n, err := like.Parse(path, data, like.Host{Name: host, ReadFile: os.ReadFile})
	var e *like.Error
	if errors.As(err, &e) {
		return nil, &usageError{"--like: " + e.Error(), e.Hint()}
	}
	return &n, err
}

// dropIns are what systemd adds to a unit: the files of the folders named like it with .d, in the order of their names; where
// several folders have one of the same name, the administrator's counts.
func dropIns(unit string) ([]byte, error) {
	files := map[string]string{}
	for _, dir := range []string{filepath.Dir(unit), "/usr/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.Base(unit)+".d", "*.conf"))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			files[filepath.Base(f)] = f
		}
	}
	var all []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data, err := os.ReadFile(files[name])
		if err != nil {
			return nil, &usageError{"--like: " + err.Error(), "it belongs to " + unit}
		}
		all = append(append(all, '\n'), data...)
	}
	return all, nil
}
