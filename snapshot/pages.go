package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.etcd.io/bbolt"
)

// No tree has the page refusedPage, a meta page, and Check says so with an error that begins with refusal.
const (
	refusedPage = 1
	refusal     = "page ID (1) out of range"
)

// checkPages has bbolt check its own structure: that every page is there, once, where it belongs, and in order. It says
// nothing about what is in the values. What it finds matches ErrDamaged; it may die of it.
//
// Before it checks, bbolt has to know the free pages. Where the file does not list them, as etcd's do not, that is the check already: bbolt follows the whole
// tree to find them, holds every page against the same rules, and panics at the first fault, which Check tells like its own or the process dies of.
// Doing it twice proves nothing more and takes twice as long, so Check is asked to go on with a page that it refuses.
func checkPages(tx *bbolt.Tx, f io.ReaderAt, info *Info) error {
	unlisted, err := lacksFreelist(f, tx.DB().Info().PageSize)
	if err != nil {
		return err
	}
	var only []bbolt.CheckOption
	if unlisted {
		only = append(only, bbolt.WithPageId(refusedPage))
	}
	refused := false
	for err := range tx.Check(only...) {
		if unlisted && strings.HasPrefix(err.Error(), refusal) {
			refused = true
			continue
		}
		// The first fault decides; the check of a file that has one may have no end.
		return damaged("bbolt check: %w", err)
	}
	if unlisted && !refused {
		return errors.New("bbolt did not check the file as it was asked to")
	}
	if _, err := tx.Page(0); err != nil { // it did not even look for the free pages
		return fmt.Errorf("bbolt did not check the file: %w", err)
	}
	info.PageSize = tx.DB().Info().PageSize
	info.Pages = tx.Size() / int64(info.PageSize)
	info.FreePages = int64(tx.DB().Stats().FreePageN)
	return nil
}

// lacksFreelist tells whether a bbolt file has no list of its free pages. Both meta pages have to say so, and that they are meta pages: only the
// whole check finds a tree that leads to them.
func lacksFreelist(f io.ReaderAt, pageSize int) (bool, error) {
	const (
		flagsAt, meta  = 8, 4         // of the page's header: what kind it is
		freelistAt     = 16 + 16 + 16 // behind the header, four numbers about the format, and the root bucket
		length, noList = freelistAt + 8, ^uint64(0)
	)
	var b [length]byte
	for page := range 2 {
		if _, err := f.ReadAt(b[:], int64(page*pageSize)); err != nil {
			return false, fmt.Errorf("read snapshot: %w", err)
		}
		if binary.NativeEndian.Uint16(b[flagsAt:]) != meta || binary.NativeEndian.Uint64(b[freelistAt:]) != noList {
			return false, nil
		}
	}
	return true, nil
}
