package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func checksumTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"TheStoreTellsTheChecksumsThatItWasSent": toldChecksums,
		"PartsOfAnotherSizeHaveNoUsableChecksum": foreignParts,
		"AReplacedObjectHasAnotherChecksum":      replacedChecksum,
	}
}

func (p place) summing(t *testing.T) *s3.Sink {
	t.Helper()
	return p.sink(t, func(o *s3.Options) { o.Checksums = true })
}

// toldChecksums must not pass because the store tells nothing.
func toldChecksums(t *testing.T, p place) {
	p.bucket = p.LockedBucket(t)
	for name, s := range map[string]*s3.Sink{
		"free":   p.summing(t),
		"locked": p.sink(t, func(o *s3.Options) { o.Checksums, o.LockMode, o.LockDays = true, "governance", 1 }),
	} {
		for size, inParts := range map[int]bool{0: false, 1000: false, part: false, part + 1: true, 3 * part: true} {
			key, body := fmt.Sprintf("%s-%d", name, size), conformtest.Content(byte(size), size)
			conformtest.MustPut(t, s, key, body)
			told, err := s.Checksum(t.Context(), key)
			if err != nil {
				t.Errorf("%d bytes, %s: %v", size, name, err)
				continue
			}
			sum := told.New()
			_, _ = sum.Write(body)
			if told.Algorithm != sinks.SHA256 || (told.PartSize > 0) != inParts || !told.Matches(int64(size), sum.Sum(nil)) {
				t.Errorf("%d bytes, %s: the store tells %s %x of %d bytes", size, name, told, told.Sum, told.Size)
			}
		}
	}
	checks := slices.DeleteFunc(conform.Checks(), func(c sinks.Check) bool { return !strings.HasPrefix(c.Name, "a checksum ") })
	if len(checks) == 0 {
		t.Error("the contract says nothing of checksums")
	}
	for i, c := range checks {
		if err := c.Run(t.Context(), p.summing(t), fmt.Sprintf("conform%d/", i)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func foreignParts(t *testing.T, p place) {
	conformtest.MustPut(t, p.summing(t), "a", conformtest.Content(1, 4*part))
	other := p.sink(t, func(o *s3.Options) { o.PartSize = 2 * part })
	if _, err := other.Checksum(t.Context(), "a"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of parts of another size: %v", err)
	}
	if _, err := other.Checksum(t.Context(), "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of what is not there: %v", err)
	}
}

func replacedChecksum(t *testing.T, p place) {
	s, body := p.summing(t), conformtest.Content(2, 1000)
	conformtest.MustPut(t, s, "a", body)
	body[500] ^= 1
	p.store().Replace(t, "a", body)
	told, err := s.Checksum(t.Context(), "a")
	if errors.Is(err, errors.ErrUnsupported) {
		return // then it is read back
	}
	if err != nil {
		t.Fatal(err)
	}
	body[500] ^= 1
	sum := told.New()
	_, _ = sum.Write(body)
	if bytes.Equal(sum.Sum(nil), told.Sum) {
		t.Error("the store still tells the checksum of what was replaced")
	}
}
