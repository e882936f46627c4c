package disk

// ReadAround has the system read what lies around a page, too, whenever one of a mapping is not in the page cache: bbolt asks for its mappings
// without that, which is right for a database that is served and not for one that is read from end to end. mapped is where n bytes of a file lie. It is a wish.
func ReadAround(mapped uintptr, n int64) { readAround(mapped, n) }
