package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// observed is a cluster in a bucket and in a directory, and an observer of both with credentials that may only read.
type observed struct {
	*guarded
	config, second string
	root           []string // environment of who may do everything
	s              *service
}

func newObserved(t *testing.T) *observed {
	t.Helper()
	o := &observed{guarded: newGuarded(t), config: filepath.Join(t.TempDir(), "lifeboat.yaml"), second: filepath.Join(t.TempDir(), "second")}
	o.root = []string{"AWS_ACCESS_KEY_ID=" + o.minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + o.minio.SecretKey}
	if err := os.Mkdir(o.second, 0o700); err != nil {
		t.Fatal(err)
	}
	o.write(t, "{name: other, sinks: [second]}")
	o.s = launch(t, o.restorer.Env, "observe", "--config", o.config, "--listen", "127.0.0.1:0", "--interval", "1s")
	return o
}

// write writes the configuration, with one more cluster.
func (o *observed) write(t *testing.T, more string) {
	t.Helper()
	text := fmt.Sprintf("clusters:\n- {name: default, endpoints: [%q], sinks: [primary, second], ", o.cluster.Endpoints()[0])
	text += fmt.Sprintf("schedule: \"*/15 * * * *\", retention: {last: 1, floor: 1}}\n- %s\n", more)
	text += fmt.Sprintf("sinks: {primary: {url: %q}, second: {url: \"file://%s\"}}\nencryption: {recipients-file: %s}\n", o.url, o.second, o.keys.recipients)
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// as runs a command on the first cluster of the configuration.
func (o *observed) as(t *testing.T, env []string, args ...string) string {
	t.Helper()
	return lifeboatWith(t, env, append(args, "--config", o.config, "--cluster", "default", "-o", "json")...).must(t, 0).stdout
}

// TestObserveTellsWhatStatusTells follows a cluster through its backups until it is wiped, and then gone, by an observer that may only read.
func TestObserveTellsWhatStatusTells(t *testing.T) {
	t.Parallel()
	o := newObserved(t)
	const newest = `backup_sequence{cluster="default"}`
	o.s.shows(t, "a backup that was there", func(m series) bool { return m[newest] == 1 && m[`attention{cluster="other",code="none"}`] == 1 })
	if code, text := ask(t, o.s.address(t)+"/readyz"); code != http.StatusOK {
		t.Errorf("it is not ready: %s", text)
	}
	m := o.agrees(t)
	if m[`missing_backups{cluster="default",sink="second"}`] != 1 || m[`backup_interval_seconds{cluster="default"}`] != 900 ||
		m[`attention{cluster="other",code="none"}`] != 1 {
		t.Errorf("it shows %v", m)
	}

	o.as(t, o.root, "backup")
	o.as(t, o.root, "verify", "latest", "--deep", "--identity", o.keys.identity)
	o.s.shows(t, "a proven backup", func(m series) bool { return m[newest] == 2 && m[`proven_backups{cluster="default"}`] == 1 })
	m = o.agrees(t)
	if at := m[`check_timestamp_seconds{cluster="default",kind="deep-verify"}`]; time.Since(time.Unix(int64(at), 0)).Abs() > time.Hour {
		t.Errorf("it was verified at %v", at)
	}

	o.wipe(t)
	o.as(t, o.root, "backup")
	o.s.shows(t, "a cluster that was wiped", func(m series) bool { return m[`suspect_backups{cluster="default",reason="revision"}`] == 1 })
	m = o.agrees(t)
	if m[newest] != 2 || m[`suspect_backups{cluster="default",reason="live-keys"}`] != 1 || m[`frozen_backups{cluster="default"}`] != 1 ||
		m[`restorable_backups{cluster="default"}`] != 2 {
		t.Errorf("of a cluster that was wiped it shows %v", m.of("default"))
	}
	if _, err := o.minio.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &o.bucket, Key: &o.manifest}); err != nil {
		t.Fatal(err)
	}
	o.cluster.Stop(t, 0) // for good
	gone := time.Now()
	o.s.shows(t, "what is hidden, without the cluster", func(m series) bool {
		return m[`hidden_backups{cluster="default"}`] == 1 && m[`observation_timestamp_seconds{cluster="default"}`] > float64(gone.Unix()+1)
	})
	o.agrees(t)
	o.losesSinks(t)
	o.reloads(t)
	if code := o.s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// wipe removes the data of the cluster and starts it by the same script.
func (o *observed) wipe(t *testing.T) {
	t.Helper()
	o.cluster.Stop(t, 0)
	if err := os.RemoveAll(o.cluster.Members()[0].DataDir); err != nil {
		t.Fatal(err)
	}
	o.cluster.Start(t, 0)
}

// agrees waits until what is shown is what status prints of the same sinks: a reading may have begun before what was done last was over.
func (o *observed) agrees(t *testing.T) series {
	t.Helper()
	var s struct {
		Newest struct {
			Started  time.Time
			Revision int64
			LiveKeys int64 `json:"live_keys"`
		}
		Recipients, Gaps, Hidden, Problems, Attention []any
		Sinks                                         []struct {
			Backups int
			Missing []any
		}
	}
	decode(t, o.as(t, o.restorer.Env, "status"), &s)
	want := series{
		`backup_revision`: float64(s.Newest.Revision), `backup_live_keys`: float64(s.Newest.LiveKeys),
		`backup_timestamp_seconds`: float64(s.Newest.Started.UnixMilli()) / 1000, `recipients`: float64(len(s.Recipients)),
		`sequence_gaps`: float64(len(s.Gaps)), `hidden_backups`: float64(len(s.Hidden)), `unreadable_objects`: float64(len(s.Problems)),
	}
	for i, sink := range []string{"primary", "second"} {
		want["backups/"+sink], want["missing_backups/"+sink] = float64(s.Sinks[i].Backups), float64(len(s.Sinks[i].Missing))
	}
	return o.s.shows(t, fmt.Sprintf("what status prints, %v and %d calls for a person", want, len(s.Attention)), func(m series) bool {
		for name, v := range want {
			name, sink, ofSink := strings.Cut(name, "/")
			labels := `{cluster="default"}`
			if ofSink {
				labels = `{cluster="default",sink="` + sink + `"}`
			}
			if m[name+labels] != v {
				return false
			}
		}
		called := false
		for name, v := range m.of("default") {
			called = called || strings.HasPrefix(name, "attention{") && v == 1
		}
		return called == (len(s.Attention) > 0)
	})
}

// losesSinks takes one of two sinks away, and what it tells of the cluster that has no other.
func (o *observed) losesSinks(t *testing.T) {
	t.Helper()
	if err := os.Rename(o.second, o.second+".away"); err != nil {
		t.Fatal(err)
	}
	m := o.s.shows(t, "a sink that is gone", func(m series) bool {
		return m[`sink_up{cluster="default",sink="second"}`] == 0 && m[`observation_success{cluster="other"}`] == 0
	})
	_, counted := m[`backups{cluster="default",sink="second"}`]
	if m[`observation_success{cluster="default"}`] != 1 || m[`sink_up{cluster="default",sink="primary"}`] != 1 ||
		m[`backup_sequence{cluster="default"}`] != 2 || counted {
		t.Errorf("of the cluster with another sink it shows %v", m.of("default"))
	}
	if len(m.of("other")) < 20 || m[`sink_up{cluster="other",sink="second"}`] != 0 {
		t.Errorf("of the cluster without another sink it shows %v", m.of("other"))
	}
	o.s.until(t, 1, `level=WARN`, `could not be read`, `cluster=other`)
	if err := os.Rename(o.second+".away", o.second); err != nil {
		t.Fatal(err)
	}
	o.s.shows(t, "a sink that is back", func(m series) bool {
		return m[`sink_up{cluster="default",sink="second"}`] == 1 && m[`observation_success{cluster="other"}`] == 1
	})
}

// reloads gives it a configuration with a mistake, and one with another cluster.
func (o *observed) reloads(t *testing.T) {
	t.Helper()
	o.write(t, "{name: new, sinks: [nowhere]}")
	hangUp(t, o.s)
	m := o.s.shows(t, "a mistake", func(m series) bool { return m["config_reload_success"] == 0 })
	if len(m.of("other")) == 0 {
		t.Error("a mistake took a cluster away")
	}
	o.write(t, "{name: new, sinks: [second]}")
	hangUp(t, o.s)
	m = o.s.shows(t, "the other configuration", func(m series) bool {
		return m["config_reload_success"] == 1 && m[`observation_success{cluster="new"}`] == 1
	})
	if len(m.of("other")) > 0 || len(m.of("default")) < 20 {
		t.Errorf("it shows %v", m)
	}
}

func TestObserveRefusesWhatCannotBeRightBeforeItListens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	with := func(name, clusters, more string) string {
		return config(name, "clusters: ["+clusters+"]\nsinks: {s: {url: \"file://"+dir+"\"}}\n"+more)
	}
	good := with("good", "{name: a, sinks: [s]}", "")
	keyless := with("keyless", "{name: a, sinks: [s]}, {name: b, sinks: [s]}", "signing: {trusted-keys-file: nowhere}\n")
	port := fmt.Sprint("127.0.0.1:", lab.FreePorts(t, 1)[0])
	taken := launch(t, nil, "observe", "--config", good, "--listen", port)
	taken.until(t, 1, "msg=listening")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no configuration":       {[]string{"observe"}, 2, "no configuration is given"},
		"no address":             {[]string{"observe", "--config", good, "--listen", "nowhere"}, 2, "no address to listen on"},
		"no port":                {[]string{"observe", "--config", good, "--listen", "127.0.0.1:http"}, 2, "no address to listen on"},
		"no port of run":         {[]string{"run", "--config", good, "--listen", "9870"}, 2, "no address to listen on"},
		"no pause":               {[]string{"observe", "--config", good, "--interval", "1ms"}, 2, "too short"},
		"no clusters":            {[]string{"observe", "--config", config("none", "sinks: {}\n")}, 2, "has no clusters"},
		"no sinks":               {[]string{"observe", "--config", config("sinkless", "clusters: [{name: a}]\n")}, 2, "no sink is given"},
		"keys that are missing":  {[]string{"observe", "--config", keyless}, 2, `cluster "a" and 1 more`},
		"a port that is taken":   {[]string{"observe", "--config", good, "--listen", port}, 1, "another process has this port"},
		"an address of others":   {[]string{"observe", "--config", good, "--listen", "192.0.2.1:9870"}, 1, "name an address of this machine"},
		"no such minute":         {[]string{"observe", "--config", with("sixty", "{name: a, sinks: [s], schedule: \"61 * * * *\"}", "")}, 2, `backup: schedule "61`},
		"no name of a cluster":   {[]string{"observe", "--config", with("slash", "{name: .., sinks: [s]}", "")}, 2, `cluster ".."`},
		"a retention of nothing": {[]string{"observe", "--config", with("floor", "{name: a, sinks: [s], retention: {last: -1}}", "")}, 2, "is negative"},
	} {
		if r := lifeboat(t, c.args...); r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: exit %d\n%s", name, r.code, r.stderr)
		}
	}
	if code := taken.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit %d after SIGINT", code)
	}
}
