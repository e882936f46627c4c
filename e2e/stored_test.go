package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// stored is what a store holds, by key: how large each object is, and the text of each manifest. It is read without Lifeboat.
type stored map[string]object

type object struct {
	size int64
	text []byte // of a manifest
}

func isManifest(key string) bool { return strings.Contains(key, "/manifests/") }

func (s stored) manifests() (keys []string) {
	for key := range s {
		if isManifest(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// of are the keys of a cluster.
func (s stored) of(cluster string) (keys []string) {
	for key := range s {
		if strings.HasPrefix(key, "v1/"+cluster+"/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// halves are manifests without the payload they name, and what no name of the format stands for. A payload without a manifest is none: nobody sees it, and
// it is collected later.
func (s stored) halves() (all []string) {
	for key, o := range s {
		if strings.HasPrefix(filepath.Base(key), ".") {
			all = append(all, key)
		}
		if !isManifest(key) {
			continue
		}
		var m struct {
			Sealed struct {
				Key  string `json:"key"`
				Size int64  `json:"size"`
			} `json:"sealed"`
		}
		first, _, _ := bytes.Cut(o.text, []byte("\n"))
		if err := json.Unmarshal(first, &m); err != nil {
			all = append(all, fmt.Sprintf("%s: %v", key, err))
		} else if payload := s[m.Sealed.Key]; payload.size != m.Sealed.Size || payload.size == 0 {
			all = append(all, fmt.Sprintf("%s: its payload %s has %d bytes and not %d", key, m.Sealed.Key, payload.size, m.Sealed.Size))
		}
	}
	return all
}

// objectsIn reads a sink that is a directory.
func objectsIn(t *testing.T, dir string) stored {
	t.Helper()
	s := stored{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		o := object{size: info.Size()}
		if isManifest(key) {
			o.text, err = os.ReadFile(path)
		}
		s[key] = o
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// objectsThere reads the bucket of a berth.
func (b *berth) objectsThere(t *testing.T) stored {
	t.Helper()
	client, s := b.minio.Client(), stored{}
	for pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &b.bucket}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			held := object{size: *o.Size}
			if isManifest(*o.Key) {
				got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.bucket, Key: o.Key})
				if err != nil {
					t.Fatal(err)
				}
				held.text, err = io.ReadAll(got.Body)
				if err != nil {
					t.Fatal(err)
				}
				_ = got.Body.Close() // it was read to its end
			}
			s[*o.Key] = held
		}
	}
	return s
}

// unfinished counts the uploads that were begun and neither finished nor given up. MinIO lists them only by whole keys, and so they are counted where it keeps
// them: a folder for each key, and in that one for each upload.
func (b *berth) unfinished(t *testing.T) int {
	t.Helper()
	uploads, err := filepath.Glob(filepath.Join(b.minio.Dir, ".minio.sys", "multipart", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(uploads)
}

// clear makes room: every berth takes some hundred MiB.
func (b *berth) clear(t *testing.T) {
	t.Helper()
	client := b.minio.Client()
	for key := range b.objectsThere(t) {
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b.bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Dir(b.file)); err != nil {
		t.Fatal(err)
	}
}
