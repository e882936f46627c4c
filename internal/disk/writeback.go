package disk

import "os"

// BeginWriting has the system write a range to the disk now, and does not wait for it. Where the system cannot do that, the error matches
// errors.ErrUnsupported, and nothing is lost.
func BeginWriting(f *os.File, off, n int64) error { return beginWriting(f, off, n) }

// AwaitWriting waits until what BeginWriting began in a range has been handed to the disk: that is no fsync. Linux tells each opener of a file once that
// writing has failed, and it may be here: after any error, the fsync at the end must not be believed.
func AwaitWriting(f *os.File, off, n int64) error { return awaitWriting(f, off, n) }

// Uncache has a range that is on the disk leave the page cache. It is a wish, which a file system need not heed, and nothing may depend on it. 0 bytes
// are all that follow.
func Uncache(f *os.File, off, n int64) { uncache(f, off, n) }
