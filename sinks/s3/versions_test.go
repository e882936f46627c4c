package s3_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func versionTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"WhatWasOverwrittenIsStillThere":       overwrittenIsStillThere,
		"WhatIsBehindADeleteMarkerIsTold":      behindDeleteMarker,
		"WithoutVersioningThereAreNoVersions":  withoutVersioning,
		"AVersionIsOpenedInTheMiddle":          versionInTheMiddle,
		"ManyVersionsComeInPages":              versionsInPages,
		"AVersionThatIsNotThereIsNotMadeUpFor": versionNotThere,
	}
}

// keyTests need keys that are another one followed by a slash and more, which a server that keeps files cannot hold.
func keyTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){"KeysThatBeginAlikeAreNotMixed": versionsOfKeysAlike}
}

// versioned makes the place's bucket keep what is overwritten.
func (p place) versioned(t *testing.T) place {
	t.Helper()
	_, err := p.Client().PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: &p.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// overwrite does what no sink of ours does.
func (p place) overwrite(t *testing.T, key, text string) {
	t.Helper()
	if _, err := p.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
}

// hide puts a delete marker over an object.
func (p place) hide(t *testing.T, key string) {
	t.Helper()
	if _, err := p.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &p.bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
}

func reads(t *testing.T, s sinks.Versioned, key, version string, off int64) string {
	t.Helper()
	r, err := s.OpenVersion(t.Context(), key, version, off)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func overwrittenIsStillThere(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	for _, text := range []string{"first", "the second", "third"} {
		p.overwrite(t, "a", text)
	}
	older, err := s.Versions(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(older) != 2 || older[0].Size != int64(len("the second")) || older[1].Size != int64(len("first")) || older[0].ModTime.Before(older[1].ModTime) {
		t.Fatalf("of three puts the older versions are %+v", older)
	}
	if got := reads(t, s, "a", older[1].ID, 0); got != "first" {
		t.Errorf("the oldest version reads as %q", got)
	}
	past := sinks.AtVersion(s, s, "a", older[0].ID)
	for key, want := range map[string]string{"a": "the second"} {
		r, err := past.Open(t.Context(), key, 0)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(text) != want {
			t.Errorf("at that version %s reads as %q, %v", key, text, err)
		}
	}
}

func behindDeleteMarker(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	for _, key := range []string{"m/a", "m/b", "m/c", "other"} {
		p.overwrite(t, key, "old "+key)
		p.overwrite(t, key, key)
	}
	for _, key := range []string{"m/a", "m/c", "other"} {
		p.hide(t, key)
	}
	p.hide(t, "m/never there")
	var hidden []string
	for o, err := range s.Hidden(t.Context(), "m/") {
		if err != nil {
			t.Fatal(err)
		}
		hidden = append(hidden, o.Key)
		if o.Size != int64(len(o.Key)) {
			t.Errorf("%s has %d bytes, not those of its newest version", o.Key, o.Size)
		}
	}
	if !slices.Equal(hidden, []string{"m/a", "m/c"}) {
		t.Errorf("hidden are %q", hidden)
	}
	if behind, err := s.Versions(t.Context(), "m/a"); err != nil || len(behind) != 2 || reads(t, s, "m/a", behind[0].ID, 0) != "m/a" {
		t.Errorf("behind the marker are %+v, %v", behind, err)
	}
}

func withoutVersioning(t *testing.T, p place) {
	s := p.sink(t, nil)
	p.overwrite(t, "a", "one")
	p.overwrite(t, "a", "two")
	p.overwrite(t, "b", "one")
	p.hide(t, "b")
	for _, key := range []string{"a", "b", "c"} {
		if older, err := s.Versions(t.Context(), key); err != nil || len(older) > 0 {
			t.Errorf("%s has versions: %+v, %v", key, older, err)
		}
	}
	for o, err := range s.Hidden(t.Context(), "") {
		t.Errorf("hidden: %+v, %v", o, err)
	}
}

func versionInTheMiddle(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	p.overwrite(t, "a", "0123456789")
	p.overwrite(t, "a", "x")
	older, err := s.Versions(t.Context(), "a")
	if err != nil || len(older) != 1 {
		t.Fatalf("%+v, %v", older, err)
	}
	if got := reads(t, s, "a", older[0].ID, 7); got != "789" {
		t.Errorf("from byte 7 on it reads %q", got)
	}
	if got := reads(t, s, "a", older[0].ID, 10); got != "" {
		t.Errorf("at the end it reads %q", got)
	}
	if _, err := s.OpenVersion(t.Context(), "a", older[0].ID, 11); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("past the end: %v", err)
	}
}

func versionsInPages(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	const each, keys = 6, 201 // 1,206 versions, and a page has 1,000
	for i := range keys {
		for range each {
			p.overwrite(t, "k"+string(rune('A'+i/26))+string(rune('a'+i%26)), "x")
		}
	}
	p.hide(t, "kAa")
	p.hide(t, "kHs")
	var hidden []string
	for o, err := range s.Hidden(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		hidden = append(hidden, o.Key)
	}
	if !slices.Equal(hidden, []string{"kAa", "kHs"}) {
		t.Errorf("hidden are %q", hidden)
	}
	if older, err := s.Versions(t.Context(), "kHs"); err != nil || len(older) != each {
		t.Errorf("the last key has %d versions behind its marker, %v", len(older), err)
	}
}

func versionsOfKeysAlike(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	for _, key := range []string{"a", "a.b", "a/b", "a.b"} {
		p.overwrite(t, key, key)
	}
	if older, err := s.Versions(t.Context(), "a"); err != nil || len(older) > 0 {
		t.Errorf("a has versions: %+v, %v", older, err)
	}
	if older, err := s.Versions(t.Context(), "a.b"); err != nil || len(older) != 1 {
		t.Errorf("a.b has versions: %+v, %v", older, err)
	}
}

func versionNotThere(t *testing.T, p place) {
	s := p.versioned(t).sink(t, nil)
	p.overwrite(t, "a", "x")
	if _, err := s.OpenVersion(t.Context(), "a", "11111111-1111-1111-1111-111111111111", 0); err == nil {
		t.Error("a version was opened that nobody made")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Versions(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
