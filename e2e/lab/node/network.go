package node

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// bringUp gives the loopback interface of a fresh network namespace the addresses of the node. Pods reach those by way of their gateway,
// which is the node as well; nothing else is reachable from here.
func bringUp(addresses ...string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for i, address := range append([]string{"127.0.0.1"}, addresses...) {
		name := "lo"
		if i > 0 {
			name = fmt.Sprintf("lo:%d", i)
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := request.SetInet4Addr(net.ParseIP(address).To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request); err != nil {
			return fmt.Errorf("give the node the address %s: %w", address, err)
		}
		if i > 0 { // the address and not the network that it was once taken for, which has the pods in it
			if err := request.SetInet4Addr(net.IPv4bcast.To4()); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, request); err != nil {
				return fmt.Errorf("give the node the address %s alone: %w", address, err)
			}
		}
		request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
			return fmt.Errorf("turn on %s: %w", name, err)
		}
	}
	return nil
}
