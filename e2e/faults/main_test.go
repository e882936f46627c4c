// Package faults_test breaks every call that Lifeboat makes to a sink, one after the other and in every way, and looks whether its
// promises hold: that success means a backup that opens in every sink, that nothing half-made is visible, and that nothing restorable
// goes away. Most of it runs in process on a recorded snapshot, because it takes thousands of runs.
package faults_test

import (
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{snapshot.InspectRoleName: snapshot.InspectRole})
}
