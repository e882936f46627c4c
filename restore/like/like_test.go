package like

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// host is a machine on which these paths hold these files of testdata.
func host(files map[string]string) Host {
	return Host{Name: "db1.example.net", ReadFile: func(path string) ([]byte, error) {
		name, ok := files[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return os.ReadFile(filepath.Join("testdata", name))
	}}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFilesOfRealLifeTellTheirMember reads what kubeadm, Kubespray, Debian, Red Hat and people write.
func TestFilesOfRealLifeTellTheirMember(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, path string
		more       map[string]string // path → file, for what a unit reads
		want       Node
	}{
		{"kubeadm-1.29.yaml", "/etc/kubernetes/manifests/etcd.yaml", nil, Node{
			Kind: StaticPod, Name: "cp1", PeerURLs: []string{"https://10.0.0.5:2380"}, ClientURLs: []string{"https://10.0.0.5:2379"}, DataDir: "/var/lib/etcd",
		}},
		{"kubeadm-1.36.yaml", "/etc/kubernetes/stopped/etcd.yaml", nil, Node{
			Kind: StaticPod, Name: "cp3", PeerURLs: []string{"https://10.0.0.7:2380"}, ClientURLs: []string{"https://10.0.0.7:2379"}, DataDir: "/var/lib/etcd",
			Quota: 8 << 30,
		}},
		{"kubeadm-rootless-other-disk.yaml", "etcd.yaml", nil, Node{
			Kind: StaticPod, Name: "cp1", PeerURLs: []string{"https://10.0.0.5:2380"}, ClientURLs: []string{"https://10.0.0.5:2379"},
			DataDir: "/mnt/nvme0/etcd-data/member-data", User: "998", Group: "997",
		}},
		{"pod-with-variables.yaml", "etcd.yaml", nil, Node{
			Kind: StaticPod, Name: "infra-1", PeerURLs: []string{"https://192.168.10.21:2380"}, ClientURLs: []string{"https://192.168.10.21:2379"},
			DataDir: "/srv/etcd/infra-1", Quota: 4 << 30,
		}},
		{"kubespray-etcd.service", "/etc/systemd/system/etcd.service", map[string]string{"/etc/etcd.env": "kubespray-etcd.env"}, Node{
			Kind: Unit, Name: "etcd2", PeerURLs: []string{"https://10.233.0.12:2380"}, ClientURLs: []string{"https://10.233.0.12:2379"},
			DataDir: "/var/lib/etcd", Quota: 2 << 30, User: "root",
		}},
		{"kubespray-etcd.env", "/etc/etcd.env", nil, Node{
			Kind: Environment, Name: "etcd2", PeerURLs: []string{"https://10.233.0.12:2380"}, ClientURLs: []string{"https://10.233.0.12:2379"},
			DataDir: "/var/lib/etcd", Quota: 2 << 30,
		}},
		{"debian-etcd.service", "/lib/systemd/system/etcd.service", map[string]string{"/etc/default/etcd": "debian-default-etcd"}, Node{
			Kind: Unit, Name: "db1.example.net", PeerURLs: []string{"http://192.168.1.11:2380"}, ClientURLs: []string{"http://192.168.1.11:2379"},
			DataDir: "/var/lib/etcd/default", User: "etcd",
		}},
		{"debian-etcd.service", "/lib/systemd/system/etcd.service", nil, Node{ // as installed: nothing is set
			Kind: Unit, Name: "db1.example.net", DataDir: "/var/lib/etcd/default", User: "etcd",
		}},
		{"rhel-etcd.service", "/usr/lib/systemd/system/etcd.service", map[string]string{"/etc/etcd/etcd.conf": "rhel-etcd.conf"}, Node{
			Kind: Unit, Name: "infra2", PeerURLs: []string{"https://172.16.4.2:2380"}, ClientURLs: []string{"https://172.16.4.2:2379"},
			DataDir: "/var/lib/etcd/default.etcd", User: "etcd",
		}},
		{"flags-etcd.service", "/etc/systemd/system/etcd.service", nil, Node{
			Kind: Unit, Name: "node-2", PeerURLs: []string{"https://10.240.0.12:2380", "https://[fd00::12]:2380"}, ClientURLs: []string{"https://10.240.0.12:2379"},
			DataDir: "/data/etcd", Quota: 6 << 30, User: "etcd", Group: "etcd-data",
		}},
		{"etcd.conf.yml", "/etc/etcd/etcd.conf.yml", nil, Node{
			Kind: Config, Name: "machine-3", PeerURLs: []string{"https://10.1.2.3:2380"}, ClientURLs: []string{"https://10.1.2.3:2379"},
			DataDir: "/var/lib/etcd/machine-3",
		}},
	} {
		c.want.File = c.path
		got, err := Parse(c.path, read(t, c.file), host(c.more))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
		} else if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.file, got, c.want)
		}
	}
}

const unit = "[Service]\nWorkingDirectory=/srv\n"

// TestSettingsWinAsWithEtcd sets the same thing in several places, and in the ways people write it.
func TestSettingsWinAsWithEtcd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Node{
		unit + "Environment=ETCD_NAME=a \"ETCD_DATA_DIR=/a b\"\nExecStart=etcd --name=b":                           {Name: "b", DataDir: "/a b"},
		unit + "ExecStart=etcd -name c -data-dir=d":                                                                {Name: "c", DataDir: "/srv/d"},
		unit + "ExecStart=-/opt/etcd --name=old\nExecStart=\nExecStart=/opt/etcd --name=new":                       {Name: "new"},
		unit + "Environment=N=x\nExecStart=etcd --name=${N}-$N --data-dir=/%%/%p":                                  {Name: "x-x", DataDir: "/%/etcd"},
		unit + "Environment='ARGS=--name y --quota-backend-bytes=0x10'\nExecStart=@etcd $ARGS":                     {Name: "y", Quota: 16},
		unit + "ExecStart=etcd\nEnvironment=ETCD_NAME=\nEnvironment=ETCD_NAME=z\n[Install]\nAlias=etcd2.service\n": {Name: "z"},
		unit + "ExecStart=etcd --name=w --wal-dir=/d/member/wal --data-dir=/d":                                     {Name: "w", DataDir: "/d"},
	} {
		want.File, want.Kind = "/x/etcd.service", Unit
		got, err := Parse("/x/etcd.service", []byte(text), host(nil))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	got, err := Parse("env", []byte("# mine\nexport ETCD_NAME='m 1'\nETCD_DATA_DIR=\"/var/lib/\\\netcd\"\nother text\nETCD_QUOTA_BACKEND_BYTES=5"), host(nil))
	if err != nil || got.Name != "m 1" || got.DataDir != "/var/lib/etcd" || got.Quota != 5 {
		t.Errorf("environment file: %+v, %v", got, err)
	}
}

// TestFilesThatDoNotTellSayWhatIsMissing wants an error that names the file, what is wrong, and what to give instead.
func TestFilesThatDoNotTellSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	const podStart = "kind: Pod\nspec:\n  containers:\n  - command: [etcd, --name=a, "
	for text, c := range map[string]struct{ says, advises string }{
		"":                           {"neither a static pod manifest", "etcd.yaml"},
		"just words":                 {"neither a static pod manifest", "--data-dir DIR"},
		"a: b":                       {"has no name", ""},
		"kind: [x]\nname: y":         {"kind that is no word", ""},
		"kind: ClusterConfiguration": {"is a ClusterConfiguration of Kubernetes", ""},
		"kind: Pod\nspec: {containers: [{command: [kube-apiserver]}]}": {"no container runs etcd", ""},
		"kind: Pod\nspec: 3":               {"no static pod manifest", ""},
		podStart + "--data-dir=/d]":        {"no volume", ""},
		podStart + "--data-dir=d]":         {"in which directory", "absolute"},
		podStart + "'--data-dir=/$(X)']":   {"what $(X) is", "--data-dir DIR"},
		podStart + "--config-file=/e.yml]": {"lets etcd read /e.yml", "--like /e.yml"},
		podStart + "--data-dir=/d]\n    volumeMounts: [{name: v, mountPath: /d}]\n  volumes: [{name: v, emptyDir: {}}]": {"no directory of this machine", ""},
		"name: a\nquota-backend-bytes: 2GiB":                                {"no number of bytes", ""},
		"name: a\ndata-dir: a.etcd":                                         {"in which directory", "absolute"},
		"name: a\ndata-dir: /d\nwal-dir: /w":                                {"keeps the write-ahead log in /w", "take wal-dir out"},
		unit + "ExecStart=/usr/bin/patroni":                                 {"does not run etcd", ""},
		unit + "User=etcd":                                                  {"without ExecStart", ""},
		unit + "ExecStart=etcd\nEnvironmentFile=/etc/etcd.env":              {"/etc/etcd.env", "--data-dir DIR"},
		unit + "ExecStart=/bin/sh -c 'etcd --name=$(hostname)'":             {"what $(hostname) is", "--member NAME"},
		unit + "Environment=ETCD_CONFIG_FILE=/etc/etcd.yml\nExecStart=etcd": {"lets etcd read /etc/etcd.yml", "--like /etc/etcd.yml"},
	} {
		n, err := Parse("/some/file", []byte(text), host(nil))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: got %+v, %v", text, n, err)
			continue
		}
		if !strings.Contains(e.Error(), "/some/file ") || !strings.Contains(e.Error(), c.says) || !strings.Contains(e.Hint(), c.advises) || e.Hint() == "" {
			t.Errorf("%q: %s\nhint: %s", text, e, e.Hint())
		}
	}
}

// FuzzParse looks for files that panic, and for data directories that are not absolute and clean.
func FuzzParse(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if !file.IsDir() {
			f.Add(read(f, file.Name()))
		}
	}
	f.Add([]byte(unit + "Environment=A=$B\nExecStart=sh -c '${A}${' \"x\\"))
	h := Host{Name: "h", ReadFile: func(string) ([]byte, error) { return []byte("ETCD_NAME=\"${\\\nA='b"), nil }}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("etcd@1.service", data, h)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("an error of its own: %v", err)
		}
		if n.DataDir != "" && filepath.Clean(n.DataDir) != n.DataDir || n.DataDir != "" && !filepath.IsAbs(n.DataDir) {
			t.Errorf("data directory %q", n.DataDir)
		}
	})
}
