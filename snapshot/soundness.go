package snapshot

// Damage can send bbolt into endless recursion, or have it count four billion pages. To open and check a file it needs less than 200 bytes for a page, so that
// much more than that is a proof of damage, and not of a large file; if nothing else runs beside it, whose memory may be that of very many keys.
const (
	// MaxStack is how many bytes of stack a goroutine may take that opens a database.
	MaxStack = 64 << 20

	baseMemory    = 256 << 20 // bytes, for anything but pages
	memoryPerPage = 256       // bytes
	smallestPage  = 4096      // bytes; bbolt's pages are those of the machine that made the file
)

// MaxMemory is how many bytes of memory opening and checking a sound database of size bytes may take, mapped files apart.
func MaxMemory(size int64) int64 { return baseMemory + size/smallestPage*memoryPerPage }
