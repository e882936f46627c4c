//go:build node

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// TestNodeTheAPIServerPageIsTrue runs the commands of both pages on a backup of a real, encrypted cluster, and holds the pages to what the
// rehearsal then says.
func TestNodeTheAPIServerPageIsTrue(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	encryption := filepath.Join(t.TempDir(), "encryption.yaml")
	text := `{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],
		"providers":[{"secretbox":{"keys":[{"name":"key1","secret":"` + strings.Repeat("A", 43) + `="}]}}]}]}`
	if err := os.WriteFile(encryption, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.APIServer(t, "--encryption-provider-config="+encryption)
	post(t, a, "/api/v1/namespaces/default/secrets", `{"metadata":{"name":"one"}}`)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, c, "/etc/kubernetes/encryption.yaml", encryption, "./kube-apiserver", lab.Tool(t, tools.Kube, "kube-apiserver"))
	d.run(t, "what comes before", "mkdir -p /var/backups/etcd\nlifeboat key new backup.key\nlifeboat backup --cluster prod --sink file:///var/backups/etcd "+
		"--recipients-file backup.key.pub "+strings.Join(etcdFlags(c), " "))
	var english string
	for _, page := range []string{"docs/apiserver.md", "docs/apiserver.zh-CN.md"} {
		script := ""
		for _, b := range blocks(t, page) {
			script += b.text
		}
		if english == "" {
			english = script
			out := d.run(t, page, script)
			if n := strings.Count(out, "PROVEN"); n != 2 {
				t.Errorf("%d of 2 are proven: %s", n, out)
			}
			if n := strings.Count(out, "secrets: encrypted at rest"); n != 1 {
				t.Errorf("%d of 2 could not read secrets: %s", n, out)
			}
		}
		if script != english {
			t.Errorf("the commands of %s are not those of the English page", page)
		}
		said, err := os.ReadFile(filepath.Join(repository(t), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range []string{"apiserver", "apiserver-objects", "apiserver-unread", "apiserver-watch"} {
			if !strings.Contains(string(said), "| `"+check+"` |") {
				t.Errorf("%s does not name %s", page, check)
			}
		}
	}
}
