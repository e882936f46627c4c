package disk

import "golang.org/x/sys/unix"

func readAround(mapped uintptr, n int64) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, mapped, uintptr(n), unix.MADV_NORMAL)
}
