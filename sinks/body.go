package sinks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// CheckPut says what is wrong with the arguments of a Put, as an error matching fs.ErrInvalid.
func CheckPut(key string, size int64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if size < 0 {
		return Because(fmt.Sprintf("the size %d is negative", size), fs.ErrInvalid)
	}
	return nil
}

// ReadBody fills p from a body at an offset. A body that ends before is io.ErrUnexpectedEOF: its size was a promise.
func ReadBody(body io.ReaderAt, p []byte, off int64) error {
	n, err := body.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return Because(fmt.Sprintf("the body ends at byte %d, before its size", off+int64(n)), io.ErrUnexpectedEOF)
	}
	return err
}

// CheckOffset says what is wrong with the offset of an Open of an object of size bytes, as an error matching fs.ErrInvalid.
func CheckOffset(off, size int64) error {
	if off < 0 || off > size {
		return Because(fmt.Sprintf("the offset %d is outside the object's %d bytes", off, size), fs.ErrInvalid)
	}
	return nil
}
