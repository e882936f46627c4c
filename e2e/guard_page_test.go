package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandOfTheGuardPageWorks runs the page about upgrades from top to bottom, in both languages, with a script in the place of the upgrade.
func TestEveryCommandOfTheGuardPageWorks(t *testing.T) {
	t.Parallel()
	c := readmeCluster(t, "3.6")
	english := readmeCommands(t, "docs/guard.md")
	for _, page := range []string{"docs/guard.md", "docs/guard.zh-CN.md"} {
		t.Run(page, func(t *testing.T) {
			if said := readmeCommands(t, page); !slices.Equal(said, english) {
				t.Errorf("it says\n%s\nand the English page\n%s", strings.Join(said, "\n"), strings.Join(english, "\n"))
			}
			d := newDesk(t, c)
			layOutUpgrade(t, d)
			script := "lifeboat key new backup.key\nmkdir /var/backups/etcd\n"
			for _, b := range blocks(t, page) {
				script += b.text
			}
			// A backup that was taken since is the latest one, and not the one that is held.
			script = strings.ReplaceAll(script, "BACKUP="+sampleID, "lifeboat backup --recipients-file backup.key.pub --sink file:///var/backups/etcd "+strings.Join(etcdFlags(c), " ")+
				"\nBACKUP=$(lifeboat list --sink file:///var/backups/etcd | awk '/held:/ { print $1 }')")
			out := d.run(t, page, script)
			for _, want := range []string{"upgrading to v1.37.0\n", "held: pre-upgrade: ./upgrade.sh", "retention decides over"} {
				if !strings.Contains(out, want) {
					t.Errorf("nothing of what was run says %q:\n%s", want, out)
				}
			}
		})
	}
}

// layOutUpgrade puts an upgrade that does nothing on the desk.
func layOutUpgrade(t *testing.T, d *desk) {
	t.Helper()
	text := fmt.Sprintln("#!/bin/sh\necho upgrading to \"$*\"")
	if err := os.WriteFile(filepath.Join(d.dir, "upgrade.sh"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
