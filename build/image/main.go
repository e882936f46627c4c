// Command image builds Lifeboat's container image without Docker: an OCI image layout in one tar, with one image for each
// platform, a bill of materials (SBOM) for each, and nothing in it that depends on where or when it was built. make image runs it.
//
// It refuses to push: what it writes is read by skopeo, crane, docker, podman and ctr (docs/image.md).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options is what an image is made of, beside the source. Equal options and sources give equal bytes.
type options struct {
	source    string // the repository's folder
	out       string // the folder to write to
	name      string // of the image, without a tag
	version   string // tag of the image and version of the binary
	revision  string // the commit
	created   time.Time
	platforms []ocispec.Platform
}

// tag is what a registry takes for one.
var tag = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func parse(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("image", flag.ContinueOnError)
	f.StringVar(&o.source, "source", "../..", "the repository's `folder`")
	f.StringVar(&o.out, "out", "../../dist", "the `folder` to write to")
	f.StringVar(&o.name, "name", "ghcr.io/lifeboat-dr/lifeboat", "`name` of the image, without a tag")
	f.StringVar(&o.version, "version", "", "`version` of the binary, and the image's tag")
	f.StringVar(&o.revision, "revision", "", "the `commit` that the source is")
	created := f.Int64("created", 0, "`seconds` since 1970: the time of everything in the image")
	platforms := f.String("platforms", "linux/amd64,linux/arm64", "`list` of os/architecture")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("what is %q? There are only flags", f.Arg(0))
	case !tag.MatchString(o.version):
		return o, fmt.Errorf("version %q cannot be an image's tag", o.version)
	case *created <= 0:
		return o, errors.New("-created is missing: give it the time of the commit (git log -1 --format=%ct)")
	}
	o.created = time.Unix(*created, 0).UTC()
	for name := range strings.SplitSeq(*platforms, ",") {
		system, architecture, found := strings.Cut(name, "/")
		if !found || system != "linux" {
			return o, fmt.Errorf("platform %q is not linux/architecture", name)
		}
		o.platforms = append(o.platforms, ocispec.Platform{OS: system, Architecture: architecture})
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	l := &layout{blobs: map[string][]byte{}}
	boms, err := l.image(ctx, o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	for platform, bom := range boms {
		name := "lifeboat-image." + strings.ReplaceAll(platform, "/", "-") + ".cdx.json"
		if err := write(filepath.Join(o.out, name), bom); err != nil {
			return err
		}
	}
	archive, err := l.archive(o.created)
	if err != nil {
		return err
	}
	file := filepath.Join(o.out, "lifeboat-image.tar")
	if err := write(file, archive); err != nil {
		return err
	}
	fmt.Printf("%s: %s:%s, %d MB\n%s\n", file, o.name, o.version, len(archive)>>20, l.digest)
	return nil
}

// write replaces a file whole or not at all.
func write(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
