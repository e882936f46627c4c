package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const bomMediaType = "application/vnd.cyclonedx+json"

// bom is the bill of materials: the modules that the linker says are in the binary (go version -m shows the same), and Go's own library.
func (b binary) bom(o options, p ocispec.Platform) ([]byte, error) {
	program := component(cdx.ComponentTypeApplication, b.info.Main.Path, o.version)
	program.Name = "lifeboat"
	program.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(b.text))}}
	program.Properties = &[]cdx.Property{{Name: "platform", Value: p.OS + "/" + p.Architecture}}
	parts := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(b.info.GoVersion, "go"))}
	for _, m := range b.info.Deps {
		parts = append(parts, module(m))
	}
	refs := []string{}
	for _, part := range parts {
		refs = append(refs, part.BOMRef)
	}
	doc := cdx.NewBOM()
	doc.Metadata = &cdx.Metadata{Timestamp: o.created.Format(time.RFC3339), Component: &program}
	doc.Components = &parts
	doc.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(doc, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("bill of materials for %s/%s: %w", p.OS, p.Architecture, err)
	}
	return text.Bytes(), nil
}

// module is what was really linked: the replacement where there is one. Its checksum is go.sum's, which is not that of a file.
func module(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := component(cdx.ComponentTypeLibrary, m.Path, m.Version)
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

func component(of cdx.ComponentType, name, version string) cdx.Component {
	purl := "pkg:golang/" + name + "@" + version
	return cdx.Component{Type: of, Name: name, Version: version, PackageURL: purl, BOMRef: purl}
}
