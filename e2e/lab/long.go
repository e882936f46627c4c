package lab

import "os"

// Long reports whether suites with counts (kills, flips, faults, races) run in full, which `make test-long` asks for; otherwise
// they run a seeded tenth.
func Long() bool { return os.Getenv("LIFEBOAT_TEST_LONG") == "1" }
