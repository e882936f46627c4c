package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// binary is lifeboat for one platform, and what the linker says went into it.
type binary struct {
	text []byte
	info *debug.BuildInfo
}

// build compiles lifeboat. Every setting of the Go command that changes its output is given here, and none is left to the environment.
func build(ctx context.Context, o options, p ocispec.Platform) (binary, error) {
	dir, err := os.MkdirTemp("", "lifeboat-image-")
	if err != nil {
		return binary{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "lifeboat")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags", "-s -w -X main.version="+o.version, "-o", file, "./cmd/lifeboat")
	cmd.Dir = o.source
	cmd.Env = append(os.Environ(), "GOOS="+p.OS, "GOARCH="+p.Architecture, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GODEBUG=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return binary{}, fmt.Errorf("build lifeboat for %s/%s: %w\n%s", p.OS, p.Architecture, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return binary{}, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return binary{}, fmt.Errorf("what the linker stored in lifeboat for %s/%s: %w", p.OS, p.Architecture, err)
	}
	return binary{text, info}, nil
}
