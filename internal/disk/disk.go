// Package disk is how large files are written: in pieces of which size, with room set aside before, to the disk when, and
// out of the page cache.
package disk

import "os"

// WritePart is in how large pieces files are best written, in bytes. Smaller ones cost a file system more than they are worth, and much larger
// ones take memory that a virtual machine's host may have to find first (docs/benchmarks.md).
const WritePart = 128 << 10

// Reserve sets room aside for n bytes from off on, and leaves the end of the file where it is: writing them costs the file system less
// then. It does nothing on a file system or a system that cannot do that.
func Reserve(f *os.File, off, n int64) error { return allocate(f, reserve, off, n) }

// Punch makes a hole of n bytes from off on. It does nothing on a file system or a system that has no holes.
func Punch(f *os.File, off, n int64) error { return allocate(f, punch, off, n) }
