package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports above those that Lifeboat itself looks among (see member.FreePorts) and below those that kernels give to outgoing connections:
// a rehearsal of a test must not take the port of a member that is down for a moment.
const (
	firstPort = 30000
	lastPort  = 32767
)

// FreePorts finds n loopback TCP ports and keeps other tests, of this process or another, from finding them until this one has ended,
// whether anything listens there or not: members come and go.
func FreePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for tries := 0; len(ports) < n; tries++ {
		if tries == 1000+100*n {
			t.Fatalf("%d free loopback ports are not to be found", n)
		}
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		// A name without a file, which is free again when its holder has died, however that was.
		claim, err := net.Listen("unix", fmt.Sprintf("@lifeboat-test-port-%d", port))
		if err != nil {
			continue // another test's
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			_ = claim.Close()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() { _ = claim.Close() })
		ports = append(ports, port)
	}
	return ports
}
