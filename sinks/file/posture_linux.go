package file

import "golang.org/x/sys/unix"

// unusual says what is to be known of a file system by its type, or "".
func unusual(kind int64) string {
	switch kind {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return "it is in memory: everything is gone when the machine restarts"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "it is the file system of a container, which goes with the container: mount a volume"
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC:
		return "it is on the network: mount it hard and with sync, or a crash of the server can take back what it confirmed"
	case unix.FUSE_SUPER_MAGIC:
		return "it is in user space (FUSE), where what sync promises depends on who made it: prefer the store's own protocol, such as s3://"
	}
	return ""
}
