package lab

import "testing"

// TestPortsAreFoundOnceAlthoughNobodyListens: of so few, two draws would otherwise share some.
func TestPortsAreFoundOnceAlthoughNobodyListens(t *testing.T) {
	var freed []int
	t.Run("until the test has ended", func(t *testing.T) {
		seen := map[int]bool{}
		for range 2 {
			for _, port := range FreePorts(t, 150) {
				if seen[port] {
					t.Errorf("%d was found twice", port)
				}
				seen[port] = true
				freed = append(freed, port)
			}
		}
	})
	again := map[int]bool{}
	for _, port := range FreePorts(t, 400) {
		again[port] = true
	}
	for _, port := range freed {
		if again[port] {
			return
		}
	}
	t.Error("none was given back")
}
