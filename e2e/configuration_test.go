package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

const configurationPage = "docs/configuration.md"

// TestTheExampleConfigurationDoesTheWholeJob takes the page's file as it is, with the addresses of real servers, and backs up, reads and rehearses with nothing
// but --config: every key in it is read, and means what it says.
func TestTheExampleConfigurationDoesTheWholeJob(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true, Auth: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 100, Seed: 13}); err != nil {
		t.Fatal(err)
	}
	minio := lab.StartMinIO(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range map[string]string{
		"pki/ca.crt": c.CAFile, "pki/client.crt": c.CertFile, "pki/client.key": c.KeyFile,
		"dr-credentials": minio.CredentialsFile, "dr-ca.crt": c.CAFile,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(name, string(text))
	}
	write("etcd-password", lab.Password+"\n")
	write("passphrase", "correct horse battery staple\n")
	lifeboat(t, "key", "new", filepath.Join(dir, "backup.key"), "--passphrase-file", filepath.Join(dir, "passphrase"), "--public-file", filepath.Join(dir, "recipients.txt")).must(t, 0)
	lifeboat(t, "key", "new", "--signing", filepath.Join(dir, "sign.key"), "--public-file", filepath.Join(dir, "trusted-keys.txt")).must(t, 0)
	e := c.Endpoints()
	example := strings.NewReplacer(
		"https://10.0.0.5:2379", e[0], "https://10.0.0.6:2379", e[1], "https://10.0.0.7:2379", e[2],
		"s3://backups/etcd?region=eu-central-1", fmt.Sprintf("s3://%s/etcd?region=%s&endpoint=%s", minio.Bucket(t), lab.Region, minio.URL),
		"s3://dr/", "s3://"+minio.Bucket(t)+"/", "https://minio.dr:9000", minio.URL,
	).Replace(onlyYAML(t))
	write("lifeboat.yaml", example)

	env := []string{"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey}
	config := []string{"--config", filepath.Join(dir, "lifeboat.yaml"), "-o", "json"}
	lifeboatWith(t, env, append([]string{"backup"}, config...)...).must(t, 0)
	var l struct {
		Cluster string `json:"cluster"`
		Backups []struct {
			Sinks     []string `json:"sinks"`
			Signature struct {
				Trusted bool `json:"trusted"`
			} `json:"signature"`
		} `json:"backups"`
	}
	decode(t, lifeboatWith(t, env, append([]string{"list"}, config...)...).must(t, 0).stdout, &l)
	if l.Cluster != "prod" || len(l.Backups) != 1 || len(l.Backups[0].Sinks) != 2 || !l.Backups[0].Signature.Trusted {
		t.Errorf("what was backed up by the example is listed as %+v", l)
	}
	lifeboatWith(t, env, append([]string{"verify", "latest", "--deep"}, config...)...).must(t, 0)
	if out := lifeboatWith(t, env, append([]string{"prune"}, config...)...).must(t, 0).stdout; !strings.Contains(out, "last 1 of 12") || !strings.Contains(out, "floor 1 of 3") {
		t.Errorf("the example's retention is not what prune goes by:\n%s", out)
	}
	lifeboatWith(t, env, append([]string{"rehearse", "latest", "--members", "1"}, config...)...).must(t, 0)
}

var yamlTag = regexp.MustCompile(`yaml:"([^",]+)"`)

// TestEveryConfigurationKeyIsInTheExample reads the keys from the source: an example that leaves one out hides it.
func TestEveryConfigurationKeyIsInTheExample(t *testing.T) {
	t.Parallel()
	example := onlyYAML(t)
	var keys [][]string
	for _, file := range []string{"config.go", "service_config.go", "heartbeat.go"} {
		source, err := os.ReadFile(filepath.Join(repository(t), "cmd/lifeboat", file))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, yamlTag.FindAllStringSubmatch(string(source), -1)...)
	}
	if len(keys) < 30 {
		t.Fatalf("only %d keys were found in the source", len(keys))
	}
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)(^|[ {])` + key[1] + `:`).MatchString(example) {
			t.Errorf("%s does not show the key %s", configurationPage, key[1])
		}
	}
}

func onlyYAML(t *testing.T) string { return onlyBlock(t, configurationPage) }
