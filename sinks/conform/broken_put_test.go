package conform_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
)

// cuts makes a sink that loses the last byte of some objects, and adds one to empty ones.
func cuts(which func(key string, size int64) bool) func(*broken) {
	return func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			switch {
			case size == 0 && which(key, size):
				return b.good.Put(ctx, key, strings.NewReader("x"), 1)
			case which(key, size):
				size--
			}
			return b.good.Put(ctx, key, body, size)
		}
	}
}

func ofSize(want int64) func(string, int64) bool {
	return func(_ string, size int64) bool { return size == want }
}

// replaces makes a sink that overwrites with objects of at least some size.
func replaces(from int64) func(*broken) {
	return func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			err := b.good.Put(ctx, key, body, size)
			for size >= from && errors.Is(err, fs.ErrExist) {
				if err := b.good.Delete(ctx, key); err != nil {
					return err
				}
				err = b.good.Put(ctx, key, body, size)
			}
			return err
		}
	}
}

func putBreakages() []breakage {
	return []breakage{
		{"small objects are cut", cuts(ofSize(10)), []string{"a small object"}},
		{"empty objects are not empty", cuts(ofSize(0)), []string{"an object of 0 bytes"}},
		{"a part less a byte is cut", cuts(ofSize(part - 1)), []string{"an object of a part less a byte"}},
		{"one part is cut", cuts(ofSize(part)), []string{"an object of exactly one part"}},
		{"a part and a byte is cut", cuts(ofSize(part + 1)), []string{"an object of a part and a byte"}},
		{"many parts are cut", cuts(ofSize(2*part + part/2 + 1)), []string{"an object of several parts"}},
		{"the second of two puts is cut", cuts(func(key string, _ int64) bool { return strings.HasSuffix(key, "two") }), []string{"one body under two keys at once"}},
		{"puts replace", replaces(0), []string{"a put does not replace", "a put does not replace by the same", "of eight racing puts one wins"}},
		{"puts in parts replace", replaces(part + 1), []string{"a put in parts does not replace", "of eight racing puts in parts one wins"}},
		{"equal puts are taken for retries", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				err := b.good.Put(ctx, key, body, size)
				if errors.Is(err, fs.ErrExist) {
					return nil
				}
				return err
			}
		}, []string{"a put does not replace by the same", "of eight racing puts one wins"}},
		{"all racers lose", func(b *broken) {
			b.put = func(context.Context, string, io.ReaderAt, int64) error { return fs.ErrExist }
		}, []string{"of eight racing puts one wins", "of eight racing puts in parts one wins"}},
		{"more than size is read", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				n, _ := body.ReadAt(make([]byte, 1), size)
				return b.good.Put(ctx, key, body, size+int64(n))
			}
		}, []string{"bytes after the size are left out"}},
		{"negative sizes count as 0", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return b.good.Put(ctx, key, body, max(size, 0))
			}
		}, []string{"a negative size is refused"}},
	}
}

func failureBreakages() []breakage {
	leavesWhatItRead := func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			got, err := io.ReadAll(io.NewSectionReader(body, 0, size))
			if err == nil && int64(len(got)) < size {
				err = io.ErrUnexpectedEOF
			}
			return errors.Join(err, ctx.Err(), b.good.Put(context.WithoutCancel(ctx), key, bytes.NewReader(got), int64(len(got))))
		}
	}
	return []breakage{
		{"what was read before a failure is left", leavesWhatItRead, []string{
			"a body that fails at once leaves nothing", "a body that fails after the first part leaves nothing",
			"a body shorter than its size leaves nothing", "a put cancelled before it begins leaves nothing", "a put cancelled on its way leaves nothing",
		}},
		{"a failure of the body counts as its end", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				got, _ := io.ReadAll(io.NewSectionReader(body, 0, size))
				return b.good.Put(ctx, key, bytes.NewReader(got), int64(len(got)))
			}
		}, []string{
			"a body that fails at once leaves nothing", "a body that fails after the first part leaves nothing",
			"a body shorter than its size leaves nothing",
		}},
		{"the second reading is not what is stored", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				first, err := io.ReadAll(io.NewSectionReader(body, 0, size))
				if err != nil {
					return err
				}
				if err := b.good.Put(ctx, key, bytes.NewReader(first), size); err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, io.NewSectionReader(body, 0, size))
				return err
			}
		}, []string{"a body that fails when read again leaves nothing"}},
		{"puts ignore the context", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return b.good.Put(context.WithoutCancel(ctx), key, body, size)
			}
		}, []string{"a put cancelled before it begins leaves nothing", "a put cancelled on its way leaves nothing"}},
		{"an unfinished object shows", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				if err := b.good.Put(ctx, key, bytes.NewReader(nil), 0); err != nil {
					return err
				}
				got := make([]byte, size)
				if _, err := body.ReadAt(got, 0); err != nil {
					return err
				}
				return errors.Join(b.good.Delete(ctx, key), b.good.Put(ctx, key, bytes.NewReader(got), size))
			}
		}, []string{"an object appears whole or not at all"}},
	}
}
