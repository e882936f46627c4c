package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// entry is one file of a tar; a folder has no text and a name that ends in a slash.
type entry struct {
	name string
	mode int64
	text []byte
}

// baseFiles is what an empty image lacks for a static binary that talks to object stores: a user of its own, and who is trusted.
func baseFiles() ([]entry, error) {
	roots, err := certificates()
	if err != nil {
		return nil, err
	}
	return []entry{
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots},
	}, nil
}

// certificates are Mozilla's roots, as the Go project publishes them; go.sum pins them. A root that Mozilla trusts with a
// limit is left out, because a PEM file cannot say the limit.
func certificates() ([]byte, error) {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	if text.Len() == 0 {
		return nil, errors.New("the bundle has no certificate")
	}
	return text.Bytes(), nil
}

// archived makes a tar in which nothing is left to chance: names sorted, each folder before what is in it, one time, owner root.
func archived(created time.Time, entries []entry) ([]byte, error) {
	entries = withFolders(entries)
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.text)), ModTime: created, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("tar %s: %w", e.name, err)
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, fmt.Errorf("tar %s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

func withFolders(entries []entry) []entry {
	all := slices.Clone(entries)
	have := map[string]bool{}
	for _, e := range entries {
		for dir := path.Dir(e.name); dir != "." && !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			all = append(all, entry{name: dir + "/", mode: 0o755})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return all
}
