package s3

import "testing"

func TestPartsGrowWithTheObject(t *testing.T) {
	t.Parallel()
	const mib, gib, tib = 1 << 20, 1 << 30, 1 << 40
	for _, size := range []int64{16*mib + 1, gib, 10_000 * 16 * mib, 10_000*16*mib + 1, tib, 5 * tib} {
		each := partSize(size, 16*mib)
		if n := (size + each - 1) / each; n > 10_000 {
			t.Errorf("%d bytes make %d parts of %d", size, n, each)
		}
		if size <= 10_000*16*mib && each != 16*mib {
			t.Errorf("%d bytes go up in parts of %d", size, each)
		}
		if each%mib != 0 || each > 5*gib {
			t.Errorf("%d bytes go up in parts of %d", size, each)
		}
	}
}

func TestListingsOutOfOrderAreNoticed(t *testing.T) {
	t.Parallel()
	if err := inOrder("", "a"); err != nil {
		t.Error(err)
	}
	if err := inOrder("a", "b"); err != nil {
		t.Error(err)
	}
	if inOrder("b", "a") == nil || inOrder("a", "a") == nil {
		t.Error("disorder was not noticed")
	}
}
