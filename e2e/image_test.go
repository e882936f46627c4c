package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

const (
	imageVersion  = "v0.0.0-test"
	imageRevision = "0123456789abcdef0123456789abcdef01234567"
	imageTime     = "2023-11-14T22:13:20Z"
)

// TestTheImageIsWhatARuntimeWants builds it for one architecture; TestNodeTheImage… builds both.
func TestTheImageIsWhatARuntimeWants(t *testing.T) {
	t.Parallel()
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	dist := makeImage(t, root, "linux/amd64")
	checkImage(t, dist, []string{"amd64"})
}

// makeImage runs make image in a copy of the repository, with everything given that it would ask git for.
func makeImage(t *testing.T, source, platforms string) (dist string) {
	t.Helper()
	dist = t.TempDir()
	cmd := exec.Command("make", "--no-print-directory", "-C", source, "image", "DIST="+dist, "PLATFORMS="+platforms, "VERSION="+imageVersion,
		"REVISION="+imageRevision, "SOURCE_DATE_EPOCH=1700000000")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") })
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make image: %v\n%s", err, out)
	}
	return dist
}

func checkImage(t *testing.T, dist string, architectures []string) {
	image := ociImage{}
	for _, f := range untar(t, []byte(readFile(t, filepath.Join(dist, "lifeboat-image.tar")))) {
		image[f.Name] = f.text
		if name, found := strings.CutPrefix(f.Name, "blobs/sha256/"); found && f.Typeflag == tar.TypeReg && fmt.Sprintf("%x", sha256.Sum256(f.text)) != name {
			t.Errorf("%s has another digest than its name says", f.Name)
		}
	}
	var layout struct{ ImageLayoutVersion string }
	image.decode(t, "oci-layout", &layout)
	if layout.ImageLayoutVersion != "1.0.0" {
		t.Errorf("the layout has version %q", layout.ImageLayoutVersion)
	}
	var entry, index imageManifest
	image.decode(t, "index.json", &entry)
	if len(entry.Manifests) != 1 {
		t.Fatalf("index.json names %d images, want one", len(entry.Manifests))
	}
	name := entry.Manifests[0].Annotations
	if name["io.containerd.image.name"] != "ghcr.io/lifeboat-dr/lifeboat:"+imageVersion || name["org.opencontainers.image.ref.name"] != imageVersion {
		t.Errorf("the image is called %v", name)
	}
	image.blob(t, entry.Manifests[0], &index)
	if len(index.Manifests) != 2*len(architectures) {
		t.Fatalf("the index has %d members, want an image and its bill of materials for each of %v", len(index.Manifests), architectures)
	}
	for i, architecture := range architectures {
		t.Run(architecture, func(t *testing.T) {
			text := image.check(t, index.Manifests[i], architecture)
			bom := image.attached(t, index.Manifests[len(architectures)+i], index.Manifests[i])
			if beside := readFile(t, filepath.Join(dist, "lifeboat-image.linux-"+architecture+".cdx.json")); beside != string(bom) {
				t.Error("the bill of materials beside the tar is not the one that is attached")
			}
			checkBinary(t, text, architecture)
			checkBOM(t, text, bom)
		})
	}
	var docker []struct {
		Config           string
		RepoTags, Layers []string
	}
	image.decode(t, "manifest.json", &docker)
	for i, architecture := range architectures {
		if want := "ghcr.io/lifeboat-dr/lifeboat:" + imageVersion + "-" + architecture; docker[i].RepoTags[0] != want || image[docker[i].Config] == nil {
			t.Errorf("for docker load it is %+v, want %s", docker[i], want)
		}
	}
}

// check looks at one platform's image, and returns its program.
func (i ociImage) check(t *testing.T, d descriptor, architecture string) (program []byte) {
	t.Helper()
	if d.Platform.OS != "linux" || d.Platform.Architecture != architecture {
		t.Errorf("the index says %+v, want linux/%s", d.Platform, architecture)
	}
	var m imageManifest
	i.blob(t, d, &m)
	var c struct {
		Created, OS, Architecture string
		Config                    struct {
			User            string
			Env, Entrypoint []string
			Labels          map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	i.blob(t, m.Config, &c)
	if c.OS != "linux" || c.Architecture != architecture || c.Created != imageTime || c.Config.User != "65532:65532" ||
		!slices.Equal(c.Config.Entrypoint, []string{"/lifeboat"}) || !slices.Equal(c.Config.Env, []string{"PATH=/"}) {
		t.Errorf("the configuration is %+v", c)
	}
	for label, want := range map[string]string{
		"title": "lifeboat", "version": imageVersion, "revision": imageRevision, "created": imageTime,
		"licenses": "Apache-2.0", "source": "https://github.com/lifeboat-dr/lifeboat",
	} {
		if key := "org.opencontainers.image." + label; c.Config.Labels[key] != want || m.Annotations[key] != want {
			t.Errorf("%s is %q in the configuration and %q in the manifest, want %q", key, c.Config.Labels[key], m.Annotations[key], want)
		}
	}
	files := i.files(t, m.Layers, c.RootFS.DiffIDs)
	want := []string{"etc/ 755", "etc/group 644", "etc/passwd 644", "etc/ssl/ 755", "etc/ssl/certs/ 755", "etc/ssl/certs/ca-certificates.crt 644", "lifeboat 755"}
	modes := []string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		modes = append(modes, fmt.Sprintf("%s %o", name, f.Mode))
		if f.Uid != 0 || f.Gid != 0 || f.ModTime.UTC().Format("2006-01-02T15:04:05Z") != imageTime {
			t.Errorf("%s belongs to %d:%d and is of %s", name, f.Uid, f.Gid, f.ModTime)
		}
	}
	if !slices.Equal(modes, want) {
		t.Errorf("it holds %q, want %q", modes, want)
	}
	if !strings.Contains(string(files["etc/passwd"].text), "nonroot:x:65532:65532:") {
		t.Errorf("/etc/passwd is %q", files["etc/passwd"].text)
	}
	checkRoots(t, files["etc/ssl/certs/ca-certificates.crt"].text)
	return files["lifeboat"].text
}

// attached returns the bill of materials that is attached to subject.
func (i ociImage) attached(t *testing.T, d, subject descriptor) []byte {
	t.Helper()
	const kind = "application/vnd.cyclonedx+json"
	var m imageManifest
	i.blob(t, d, &m)
	if d.Platform.OS != "unknown" || m.ArtifactType != kind || m.Subject == nil || m.Subject.Digest != subject.Digest || len(m.Layers) != 1 || m.Layers[0].MediaType != kind {
		t.Fatalf("the bill of materials is attached as %+v in %+v", m, d)
	}
	return i.blob(t, m.Layers[0], nil)
}

func checkRoots(t *testing.T, text []byte) {
	t.Helper()
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !c.IsCA {
			t.Errorf("certificate %d is no CA's: %v", n, err)
		}
		n++
	}
	if n <= 100 {
		t.Errorf("only %d roots are trusted", n)
	}
}

// checkBinary wants a program that needs no loader and no library.
func checkBinary(t *testing.T, program []byte, architecture string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]; f.Machine != want {
		t.Errorf("it is for %v, want %v", f.Machine, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it has %v: it is not static", p.Type)
		}
	}
	for _, place := range []string{os.TempDir() + "/", "/root/", "/home/"} {
		if bytes.Contains(program, []byte(place+"go/pkg/mod")) || bytes.Contains(program, []byte(place+"lifeboat-image-")) {
			t.Errorf("it tells where it was built: %s", place)
		}
	}
}

// checkBOM compares a bill of materials with what go version -m says of the program.
func checkBOM(t *testing.T, program, bom []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lifeboat")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "version", "-m", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for n, line := range strings.Split(string(out), "\n") {
		switch f := strings.Fields(line); {
		case n == 0:
			want = append(want, "pkg:golang/std@"+strings.TrimPrefix(f[len(f)-1], "go"))
		case len(f) >= 3 && f[0] == "dep":
			want = append(want, "pkg:golang/"+f[1]+"@"+f[2])
		case len(f) >= 3 && f[0] == "=>":
			want[len(want)-1] = "pkg:golang/" + f[1] + "@" + f[2]
		}
	}
	var got struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct {
				Name, Version string
				Hashes        []struct{ Alg, Content string }
			}
		}
		Components []struct{ Purl string }
	}
	if err := json.Unmarshal(bom, &got); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, c := range got.Components {
		purls = append(purls, c.Purl)
	}
	slices.Sort(purls)
	slices.Sort(want)
	if len(want) < 50 || !slices.Equal(purls, want) {
		t.Errorf("the bill of materials has %d modules, the program %d:\n%q\n%q", len(purls), len(want), purls, want)
	}
	c := got.Metadata.Component
	if got.BOMFormat != "CycloneDX" || c.Name != "lifeboat" || c.Version != imageVersion || len(c.Hashes) != 1 || c.Hashes[0].Content != fmt.Sprintf("%x", sha256.Sum256(program)) {
		t.Errorf("the bill of materials is of %+v", got.Metadata)
	}
}
