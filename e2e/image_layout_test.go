package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// descriptor is a reference to a blob, as the OCI image specification writes it.
type descriptor struct {
	MediaType, Digest string
	Size              int
	Platform          struct{ OS, Architecture string }
	Annotations       map[string]string
}

type imageManifest struct {
	MediaType, ArtifactType string
	Config                  descriptor
	Layers, Manifests       []descriptor
	Subject                 *descriptor
	Annotations             map[string]string
}

// ociImage is a layout's files by name, read with nothing of what wrote it.
type ociImage map[string][]byte

// blob returns what d refers to, and decodes it if into is not nil.
func (i ociImage) blob(t *testing.T, d descriptor, into any) []byte {
	t.Helper()
	name := "blobs/" + strings.Replace(d.Digest, ":", "/", 1)
	text, found := i[name]
	if !found || len(text) != d.Size {
		t.Fatalf("%s (%s) has %d bytes, want %d", name, d.MediaType, len(text), d.Size)
	}
	if into != nil {
		i.decode(t, name, into)
	}
	return text
}

func (i ociImage) decode(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(i[name], into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// files are those of all layers, whose digests before compression must be the ones in ids.
func (i ociImage) files(t *testing.T, layers []descriptor, ids []string) map[string]archiveFile {
	t.Helper()
	if len(layers) != len(ids) {
		t.Fatalf("%d layers have %d ids", len(layers), len(ids))
	}
	files := map[string]archiveFile{}
	for n, layer := range layers {
		r, err := gzip.NewReader(bytes.NewReader(i.blob(t, layer, nil)))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if id := fmt.Sprintf("sha256:%x", sha256.Sum256(text)); id != ids[n] {
			t.Errorf("layer %d is %s, and the configuration says %s", n, id, ids[n])
		}
		for _, f := range untar(t, text) {
			files[f.Name] = f
		}
	}
	return files
}

type archiveFile struct {
	*tar.Header
	text []byte
}

func untar(t *testing.T, archive []byte) (files []archiveFile) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, archiveFile{h, text})
	}
}
