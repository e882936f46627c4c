package chart

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// three are the three values that the chart wants.
var three = []string{
	"--set", "endpoints={https://10.0.0.5:2379}", "--set", "sink=s3://backups/etcd?region=eu-central-1",
	"--set", "recipient=age1g2g08q86l3sr0q32pq4xn6y58k9avx35hxw7fnvr0aurjm0wlq8qf2hyzd",
}

// TestTheSchemaNamesWhatItRefuses goes through typos and values of the wrong shape: none is passed over, and each is told by its key.
func TestTheSchemaNamesWhatItRefuses(t *testing.T) {
	t.Parallel()
	for _, group := range [][]refusal{
		{ // keys that are misspelt, or stand somewhere else
			{"endpoint={https://10.0.0.5:2379}", "'endpoint'"},
			{"recipients=age1xyz", "'recipients'"},
			{"backup.shedule=@daily", "'shedule'"},
			{"verify.deeep=true", "'deeep'"},
			{"rehearse.max-age=26h", "'max-age'"},
			{"retention.weeks=5", "'weeks'"},
			{"roles.reader.serviceAccount.create=true", "'reader'"},
			{"roles.writer.serviceAccount.annotation.x=y", "'annotation'"},
			{"sinkCredentials.roles.purner=x", "'purner'"},
			{"sinks.primary.uri=s3://b", "'uri'"},
			{"clusters[0].name=a,clusters[0].sink=x", "'sink'"},
			{"etcdTLS.secret=x", "'secret'"},
			{"identity.key=x", "'key'"},
			{"image.version=1", "'version'"},
			{"controlPlane.hostNetwork=true", "'hostNetwork'"},
			{"networkPolicy.egress={}", "'egress'"},
		},
		{ // values of the wrong shape
			{"endpoints=https://10.0.0.5:2379", "/endpoints"},
			{"sink=backups/etcd", "/sink"},
			{"encryption.mode=pgp", "/encryption/mode"},
			{"mode=daemonset", "/mode"},
			{"backup.enabled=maybe", "/backup/enabled"},
			{"verify.deep=automatic", "/verify/deep"},
			{"backup.schedule=* * *", "/backup/schedule"},
			{"verify.schedule=H/75 * * * *", "/verify/schedule"},
			{"rehearse.schedule=* * H * *", "/rehearse/schedule"},
			{"prune.schedule=CRON_TZ=Europe/Berlin @daily", "/prune/schedule"},
			{"backup.timeout=1d", "/backup/timeout"},
			{"verify.timeout=", "/verify/timeout"},
			{"backup.startingDeadlineSeconds=5", "/backup/startingDeadlineSeconds"},
			{"verify.sample=0%", "/verify/sample"},
			{"rehearse.members=0", "/rehearse/members"},
			{"retention.last=many", "/retention/last"},
			{"retention.floor=0", "/retention/floor"},
			{"spool.sizeLimit=5GB", "/spool/sizeLimit"},
			{"image.digest=sha256:123", "/image/digest"},
			{"suspend=soon", "/suspend"},
			{"extraEnv.A=b", "/extraEnv"},
			{"resources=small", "/resources"},
			{"heartbeat.success=hc.example.org", "/heartbeat/success"},
			{"clusters[0].name=a b", "/clusters/0/name"},
			{"sinks.primary.url=https://backups", "/sinks/primary/url"},
			{"sinks.primary.readBack=weekly", "/sinks/primary/readBack"},
			{"sinkReadBack=never", "/sinkReadBack"},
		},
		{
			{"endpoints={10.0.0.5:2379}", "/endpoints/0"},
			{"clusters[0].name=a", "missing property 'endpoints'"},
			{"sinks.primary.ca.key=x", "missing property 'url'"},
		},
	} {
		args := slices.Clone(three)
		for _, r := range group {
			args = append(args, "--set", r.set)
		}
		_, err := template(t, args...)
		if err == nil {
			t.Fatalf("%v is rendered", group)
		}
		for _, r := range group {
			if !strings.Contains(err.Error(), r.key) {
				t.Errorf("--set %s: nothing is said of %s in\n%v", r.set, r.key, err)
			}
		}
	}
}

// A refusal is what is set, and the key by which it is told.
type refusal struct{ set, key string }

// TestWhatCannotWorkIsRefusedWithTheWayOut renders combinations that are well formed each by itself.
func TestWhatCannotWorkIsRefusedWithTheWayOut(t *testing.T) {
	t.Parallel()
	cluster := "clusters[0].name=a,clusters[0].endpoints={https://x:2379}"
	for name, c := range map[string]struct {
		values []string
		says   string
	}{
		"nothing":                       {nil, "endpoints: nothing says where etcd is"},
		"no sink":                       {three[:2], "sink: nothing says where backups are kept"},
		"no recipient":                  {three[:4], "recipient: nothing says whom backups are sealed to"},
		"an identity as the recipient":  {append(three[:4:4], "--set", "recipient=AGE-SECRET-KEY-1ABC"), "the secret half of a key"},
		"an SSH key as the recipient":   {append(three[:4:4], "--set", "recipient=ssh-ed25519 AAAA"), "recipient: line 1 is none"},
		"endpoints twice":               {append(three, "--set", cluster), "endpoints and clusters: both are given"},
		"a sink twice":                  {append(three, "--set", "sinks.x.url=s3://b"), "sink and sinks: both are given"},
		"what belongs to another sink":  {append(three[:2:2], "--set", "sinks.x.url=s3://b,sinkReadBack=daily"), "give each of sinks its own"},
		"an unknown sink":               {append(three[2:], "--set", cluster+",clusters[0].sinks={other}"), "its sink other is not under sinks"},
		"one name twice":                {append(three[2:], "--set", cluster+",clusters[1].name=a,clusters[1].endpoints={https://y:2379}"), "two are called a"},
		"a rehearsal without a key":     {append(three, "--set", "rehearse.enabled=true"), "no identity is given"},
		"a look inside without a key":   {append(three, "--set", "verify.deep=true"), "no identity is given"},
		"one member to compare":         {append(three, "--set", "crossCheck.enabled=true"), "only one endpoint is given"},
		"two certificates":              {append(three, "--set", "controlPlane.enabled=true,etcdTLS.secretName=x"), "controlPlane and etcdTLS.secretName"},
		"control planes of others":      {append(three[2:], "--set", "controlPlane.enabled=true", "--set", cluster), "controlPlane and clusters"},
		"a user without a password":     {append(three, "--set", "etcdAuth.user=root"), "etcdAuth has a user and no passwordSecret"},
		"nobody signs what is trusted":  {append(three, "--set", "trustedKeys=x"), "trustedKeys without signing.secretName"},
		"nothing is kept":               {append(three, "--set-json", `retention={"last":0,"hourly":0,"daily":0,"weekly":0,"monthly":0}`), "prune has no rule"},
		"a directory in no volume":      {append(three[:2:2], "--set", "sink=file:///backups/etcd", "--set", "encryption.mode=none"), "/backups/etcd is in no volume"},
		"jitter of CronJobs":            {append(three, "--set", "jitter=1m"), "jitter is for mode service"},
		"credentials of one role alone": {append(three, "--set", "sinkCredentials.roles.pruner=x"), "give secretName, too"},
		"two authorities":               {append(three, "--set", "sinkCA.secretName=x,sinkCA.configMapName=y"), "not in both"},
		"a range turned round":          {append(three, "--set", "backup.schedule=H H(4-1) * * *"), "write the smaller one first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := template(t, c.values...); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want a refusal that says %q: %v", c.says, err)
			}
		})
	}
}

// TestThreeValuesAreEnough renders the chart with nothing but them, and what has to be asked for besides is not there.
func TestThreeValuesAreEnough(t *testing.T) {
	t.Parallel()
	var jobs []string
	for _, o := range ofKind(rendered(t, three...), "CronJob") {
		jobs = append(jobs, o.component())
	}
	if got := strings.Join(jobs, " "); got != "backup verify prune" {
		t.Errorf("CronJobs: %s", got)
	}
}

// TestReadBackIsSaidOfEachSink or of the only one, and left to Lifeboat where nothing is said.
func TestReadBackIsSaidOfEachSink(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]map[string]string{
		"sink=s3://b":                       {"primary": ""},
		"sink=s3://b,sinkReadBack=checksum": {"primary": "checksum"},
		"sinks.a.url=s3://b,sinks.a.readBack=daily,sinks.b.url=s3://b,sinks.b.readBack=always,sinks.c.url=gs://c": {"a": "daily", "b": "always", "c": ""},
	} {
		var read struct {
			Sinks map[string]map[string]string
		}
		all := rendered(t, append(slices.Clone(three[:2]), "--set", set, "--set", three[len(three)-1])...)
		if err := yaml.Unmarshal([]byte(ofKind(all, "ConfigMap")[0].Data["lifeboat.yaml"]), &read); err != nil || len(read.Sinks) != len(want) {
			t.Fatalf("--set %s: %v, %v", set, err, read)
		}
		for name, mode := range want {
			if got, said := read.Sinks[name]["read-back"]; got != mode || said != (mode != "") {
				t.Errorf("--set %s: of %s it says %v", set, name, read.Sinks[name])
			}
		}
	}
}

// TestAHeartbeatMakesTheConfigurationASecret which all pods mount instead: its address is one. It does not matter which cluster has it.
func TestAHeartbeatMakesTheConfigurationASecret(t *testing.T) {
	t.Parallel()
	const config = "lifeboat-config"
	all := rendered(t, append(slices.Clone(three[2:]), "--set", "kubernetesEvents.enabled=true",
		"--set", "clusters[0].name=a,clusters[0].endpoints={https://x:2379}",
		"--set", "clusters[1].name=b,clusters[1].endpoints={https://y:2379},clusters[1].heartbeat.success=https://hc.example.org/4f1c")...)
	pods := 0
	for _, o := range all {
		if strings.Contains(o.text, "4f1c") != (o.Kind == "Secret") || o.Kind == "ConfigMap" {
			t.Errorf("the address is in the %s %s, or not, or there is a ConfigMap", o.Kind, o.Metadata.Name)
		}
		if pod := o.pod(); pod != nil {
			pods++
			if !slices.Contains(pod.secrets(), config) || strings.Contains(o.text, "configMap") {
				t.Errorf("%s mounts %v", o.component(), pod.Volumes)
			}
		}
	}
	secrets := ofKind(all, "Secret")
	if len(secrets) != 1 || secrets[0].Metadata.Name != config || pods < 8 {
		t.Errorf("there are %d pods and the Secrets %v", pods, secrets)
	}
}

// TestWhatAClusterSaysWins over what holds for all, also where it says "", 0 or false.
func TestWhatAClusterSaysWins(t *testing.T) {
	t.Parallel()
	all := rendered(t, append(slices.Clone(three[2:]), "--set", "etcdTLS.secretName=all,verify.sample=10%,timezone=Europe/Berlin,crossCheck.enabled=false",
		"--set", "clusters[0].name=own,clusters[0].endpoints={https://x:2379},clusters[0].etcdTLS.secretName=,clusters[0].verify.sample=,clusters[0].timezone=Asia/Tokyo",
		"--set", "clusters[0].prune.enabled=false,clusters[0].retention.hourly=0,clusters[0].retention.last=1000000",
		"--set", "clusters[1].name=usual,clusters[1].endpoints={https://x:2379}")...)
	var read struct {
		Clusters []struct {
			Name, Timezone string
			TLS            map[string]string
			Verify         struct{ Sample string }
			Prune          map[string]string
			Retention      map[string]int
		}
	}
	if err := yaml.Unmarshal([]byte(ofKind(all, "ConfigMap")[0].Data["lifeboat.yaml"]), &read); err != nil || len(read.Clusters) != 2 {
		t.Fatalf("%v, %+v", err, read)
	}
	own, usual := read.Clusters[0], read.Clusters[1]
	if own.Timezone != "Asia/Tokyo" || own.TLS != nil || own.Verify.Sample != "" || own.Prune != nil ||
		own.Retention["last"] != 1000000 || own.Retention["daily"] != 7 {
		t.Errorf("it is %+v", own)
	}
	if _, hourly := own.Retention["hourly"]; hourly {
		t.Errorf("it keeps %v", own.Retention)
	}
	if usual.Timezone != "Europe/Berlin" || usual.TLS == nil || usual.Verify.Sample != "10%" || usual.Prune == nil ||
		usual.Retention["hourly"] != 24 || usual.Retention["last"] != 12 {
		t.Errorf("the other is %+v", usual)
	}
}
