package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestSidecarsAreFoundByBackupAndRecipient(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), Named{"mem:", mem.New()}
	put := func(id ID, fp, text string) error { return PutSidecar(ctx, s, "prod", id, fp, []byte(text)) }
	const other = ID("20261120T145000Z-r123456-7f3a9d")
	if err := errors.Join(put(id1, "00000000000000bb", "b"), put(id1, "00000000000000aa", "a"), put(other, "00000000000000cc", "c")); err != nil {
		t.Fatal(err)
	}
	if err := put(id1, "00000000000000aa", "a"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := put(id1, "00000000000000aa", "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another one for the same recipient: %v", err)
	}
	if err := s.Put(ctx, "v1/prod/keys/"+string(id1)+"/README.txt", nil, 0); err != nil {
		t.Fatal(err)
	}
	fps, err := SidecarFingerprints(ctx, s, "prod", id1)
	if diff := cmp.Diff([]string{"00000000000000aa", "00000000000000bb"}, fps); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err := Sidecars(ctx, s, "prod", id1, "00000000000000bb", "00000000000000dd")
	want := []Sidecar{{"00000000000000bb", []byte("b")}, {"00000000000000aa", []byte("a")}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestManySidecarsDoNotHideTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), Named{"mem:", mem.New()}
	for i := range maxSidecars + 50 {
		if err := PutSidecar(ctx, s, "prod", id1, fmt.Sprintf("%016x", i), []byte("garbage")); err != nil {
			t.Fatal(err)
		}
	}
	if err := PutSidecar(ctx, s, "prod", id1, "ffffffffffffffff", []byte("ours")); err != nil {
		t.Fatal(err)
	}
	got, err := Sidecars(ctx, s, "prod", id1, "ffffffffffffffff")
	if err != nil || len(got) != maxSidecars+1 || string(got[0].Data) != "ours" {
		t.Errorf("%d sidecars, %v", len(got), err)
	}
}
