package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout is an OCI image layout in memory.
type layout struct {
	blobs  map[string][]byte // by digest
	index  ocispec.Index     // what index.json says
	docker []dockerImage     // what manifest.json says
	digest digest.Digest     // of the image, that is, of the index of all platforms
}

// dockerImage is what `docker load` wants to know where it does not read the layout. It knows no index, so that each platform is an image.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (l *layout) add(mediaType string, text []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	l.blobs[blobName(d)] = text
	return d
}

func blobName(d ocispec.Descriptor) string {
	return "blobs/" + d.Digest.Algorithm().String() + "/" + d.Digest.Encoded()
}

func (l *layout) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return l.add(mediaType, text), nil
}

// layer adds a layer, and returns the digest of its tar with it.
func (l *layout) layer(created time.Time, files ...entry) (ocispec.Descriptor, digest.Digest, error) {
	text, err := archived(created, files)
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return ocispec.Descriptor{}, "", err
	}
	if err := w.Close(); err != nil {
		return ocispec.Descriptor{}, "", err
	}
	return l.add(ocispec.MediaTypeImageLayerGzip, packed.Bytes()), digest.FromBytes(text), nil
}

// archive is the layout as a tar.
func (l *layout) archive(created time.Time) ([]byte, error) {
	files := []entry{}
	for _, name := range slices.Sorted(maps.Keys(l.blobs)) {
		files = append(files, entry{name, 0o644, l.blobs[name]})
	}
	for name, value := range map[string]any{
		ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion},
		ocispec.ImageIndexFile:  l.index,
		"manifest.json":         l.docker,
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, entry{name, 0o644, text})
	}
	return archived(created, files)
}
