package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// image fills the layout, and returns the bills of materials by platform.
func (l *layout) image(ctx context.Context, o options) (boms map[string][]byte, err error) {
	files, err := baseFiles()
	if err != nil {
		return nil, err
	}
	base, baseID, err := l.layer(o.created, files...)
	if err != nil {
		return nil, err
	}
	boms = map[string][]byte{}
	all := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: o.labels()}
	var attached []ocispec.Descriptor
	for _, p := range o.platforms {
		b, err := build(ctx, o, p)
		if err != nil {
			return nil, err
		}
		layer, id, err := l.layer(o.created, entry{"lifeboat", 0o755, b.text})
		if err != nil {
			return nil, err
		}
		config := o.config(p, baseID, id)
		manifest, err := l.manifest(o, config, base, layer)
		if err != nil {
			return nil, err
		}
		bom, err := b.bom(o, p)
		if err != nil {
			return nil, err
		}
		boms[p.OS+"/"+p.Architecture] = bom
		attachment, err := l.attach(o, manifest, bom)
		if err != nil {
			return nil, err
		}
		all.Manifests, attached = append(all.Manifests, manifest), append(attached, attachment)
	}
	all.Manifests = append(all.Manifests, attached...)
	named, err := l.addJSON(ocispec.MediaTypeImageIndex, all)
	if err != nil {
		return nil, err
	}
	l.digest = named.Digest
	named.Annotations = map[string]string{ocispec.AnnotationRefName: o.version, "io.containerd.image.name": o.name + ":" + o.version}
	l.index = ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{named}}
	return boms, nil
}

// manifest adds one platform's image.
func (l *layout) manifest(o options, config ocispec.Image, layers ...ocispec.Descriptor) (ocispec.Descriptor, error) {
	c, err := l.addJSON(ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return c, err
	}
	d, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: c, Layers: layers, Annotations: o.labels(),
	})
	d.Platform = &config.Platform
	image := dockerImage{Config: blobName(c), RepoTags: []string{o.name + ":" + o.version + "-" + config.Architecture}}
	for _, layer := range layers {
		image.Layers = append(image.Layers, blobName(layer))
	}
	l.docker = append(l.docker, image)
	return d, err
}

// attach adds a bill of materials as a referrer of an image, in the way of OCI 1.1. It is a member of the index too, so that whoever copies
// the image copies it; its platform, which is none, keeps it from ever being run. The index does not repeat the artifact's type: a skopeo
// that does not know that field yet would drop it, and the copy had another digest.
func (l *layout) attach(o options, subject ocispec.Descriptor, bom []byte) (ocispec.Descriptor, error) {
	payload := l.add(bomMediaType, bom)
	l.add(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data)
	of := ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	d, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bomMediaType,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{payload}, Subject: &of,
		Annotations: map[string]string{ocispec.AnnotationCreated: o.created.Format(time.RFC3339)},
	})
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	return d, err
}

func (o options) config(p ocispec.Platform, base, program digest.Digest) ocispec.Image {
	return ocispec.Image{
		Created:  &o.created,
		Platform: p,
		Config: ocispec.ImageConfig{
			User:       "65532:65532",
			Env:        []string{"PATH=/"},
			Entrypoint: []string{"/lifeboat"},
			WorkingDir: "/",
			Labels:     o.labels(),
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{base, program}},
		History: []ocispec.History{
			{Created: &o.created, CreatedBy: "make image", Comment: "user and certificates (" + bundleVersion() + ")"},
			{Created: &o.created, CreatedBy: "make image", Comment: "lifeboat " + o.version},
		},
	}
}

// labels say the same on the index, on every image and in its configuration, because each tool reads another of them.
func (o options) labels() map[string]string {
	const home = "https://github.com/lifeboat-dr/lifeboat"
	l := map[string]string{
		ocispec.AnnotationTitle:         "lifeboat",
		ocispec.AnnotationDescription:   "Backs up etcd into object storage and proves that it can be restored",
		ocispec.AnnotationURL:           home,
		ocispec.AnnotationSource:        home,
		ocispec.AnnotationDocumentation: home + "/blob/main/docs/image.md",
		ocispec.AnnotationLicenses:      "Apache-2.0",
		ocispec.AnnotationVersion:       o.version,
		ocispec.AnnotationCreated:       o.created.Format(time.RFC3339),
	}
	if o.revision != "" {
		l[ocispec.AnnotationRevision] = o.revision
	}
	return l
}

// bundleVersion is the module that the certificates come from, read from what the linker stored in this program.
func bundleVersion() string {
	const module = "golang.org/x/crypto/x509roots/fallback"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Path + " " + m.Version
			}
		}
	}
	return module
}
