package member

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports below the range from which kernels take the ports of outgoing connections: a port from that range, freed by a member that
// is down for a moment, may be taken by anybody's next connection.
const (
	firstPort = 10000
	lastPort  = 29999
)

// FreePorts returns n different loopback TCP ports that were free a moment ago. They are not reserved.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries > 100*n {
				return nil, fmt.Errorf("find %d free loopback ports: %w", n, err)
			}
			continue
		}
		defer l.Close() // held until all are found, so that they differ
		ports = append(ports, port)
	}
	return ports, nil
}
