{{- /* Combinations that cannot work, each with what to do. The schema has looked at every value by itself before. */ -}}
{{- define "lifeboat.validate" -}}
{{- $v := .Values -}}
{{- if and $v.clusters (or $v.endpoints $v.cluster) -}}
{{- fail "endpoints and clusters: both are given; put the endpoints into the list, or leave the list out" -}}
{{- end -}}
{{- if not (or $v.clusters $v.endpoints $v.controlPlane.enabled) -}}
{{- fail "endpoints: nothing says where etcd is; give --set 'endpoints={https://10.0.0.5:2379,…}', or a list of clusters" -}}
{{- end -}}
{{- if and $v.sink $v.sinks -}}
{{- fail "sink and sinks: both are given; name them all under sinks, or leave that out" -}}
{{- end -}}
{{- if and $v.sinks (or $v.sinkCredentials.secretName $v.sinkCA.secretName $v.sinkCA.configMapName $v.sinkReadBack) -}}
{{- fail "sinks, and sinkCredentials, sinkCA or sinkReadBack: those belong to `sink`; give each of sinks its own credentials, ca and readBack" -}}
{{- end -}}
{{- if not (or $v.sink $v.sinks) -}}
{{- fail "sink: nothing says where backups are kept; give --set-string 'sink=s3://BUCKET/PREFIX?region=REGION'" -}}
{{- end -}}
{{- if and (eq $v.encryption.mode "age") (not (trim $v.recipient)) -}}
{{- fail "recipient: nothing says whom backups are sealed to; make a key with `lifeboat key new backup.key`, keep it, and give --set-file recipient=backup.key.pub" -}}
{{- end -}}
{{- if contains "AGE-SECRET-KEY" (upper $v.recipient) -}}
{{- fail "recipient: this is the secret half of a key, which opens backups; give the public one, --set-file recipient=backup.key.pub" -}}
{{- end -}}
{{- range $i, $line := splitList "\n" $v.recipient -}}
{{- $line = trim $line -}}
{{- if and $line (not (hasPrefix "#" $line)) (not (hasPrefix "age1" $line)) -}}
{{- fail (printf "recipient: line %d is none; it begins with age1, as in the file backup.key.pub of `lifeboat key new backup.key`: --set-file recipient=backup.key.pub (SSH keys and passphrases cannot be used)" (add1 $i)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.controlPlane.enabled $v.etcdTLS.secretName -}}
{{- fail "controlPlane and etcdTLS.secretName: the certificate comes from the node or from the Secret, not both; leave one out" -}}
{{- end -}}
{{- if and $v.controlPlane.enabled $v.clusters -}}
{{- fail "controlPlane and clusters: a control plane's node has the certificates of its own cluster only; give endpoints instead, and another release for the others" -}}
{{- end -}}
{{- if and $v.trustedKeys (not $v.signing.secretName) -}}
{{- fail "trustedKeys without signing.secretName: what this release writes would be signed by nobody whom it trusts; give the Secret with the signing key, too" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (eq $v.mode "cronjobs") (not $v.observe.enabled) -}}
{{- fail "serviceMonitor: nothing serves metrics here; give observe.enabled=true, too" -}}
{{- end -}}
{{- $opens := or $v.identity.secretName (eq $v.encryption.mode "none") -}}
{{- $sinks := include "lifeboat.sinks" . | fromJson -}}
{{- range $name, $sink := $sinks -}}
{{- with $sink.ca }}{{ if and .secretName .configMapName }}{{ fail (printf "sink %s: its ca is in a Secret or in a ConfigMap, not in both" $name) }}{{ end }}{{ end -}}
{{- if and (dig "credentials" "roles" dict $sink) (not (dig "credentials" "secretName" "" $sink)) -}}
{{- fail (printf "sink %s: roles have credentials of their own, and there are none for the others; give secretName, too" $name) -}}
{{- end -}}
{{- if hasPrefix "file://" $sink.url -}}
{{- $dir := trimPrefix "file://" $sink.url -}}
{{- $mounted := false -}}
{{- range $v.extraVolumeMounts }}{{ if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" $dir) }}{{ $mounted = true }}{{ end }}{{ end -}}
{{- if not $mounted -}}
{{- fail (printf "sink %s: %s is in no volume and would be lost with the pod; mount one there with extraVolumes and extraVolumeMounts" $name $dir) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range $c := include "lifeboat.clusters" . | fromJsonArray -}}
{{- if has $c.name $names -}}
{{- fail (printf "clusters: two are called %s; their backups would lie in one folder" $c.name) -}}
{{- end -}}
{{- $names = append $names $c.name -}}
{{- range $c.sinks }}{{ if not (hasKey $sinks .) }}{{ fail (printf "cluster %s: its sink %s is not under sinks" $c.name .) }}{{ end }}{{ end -}}
{{- if and $c.etcdAuth.user (not $c.etcdAuth.passwordSecret) -}}
{{- fail (printf "cluster %s: etcdAuth has a user and no passwordSecret" $c.name) -}}
{{- end -}}
{{- if and (not $opens) (or $c.rehearse.enabled (and $c.verify.enabled $c.verify.deep)) -}}
{{- fail (printf "cluster %s: rehearse and verify.deep open backups, and no identity is given; give identity.secretName, or leave them on auto" $c.name) -}}
{{- end -}}
{{- if and $c.crossCheck.enabled (lt (len $c.endpoints) 2) -}}
{{- fail (printf "cluster %s: crossCheck compares members, and only one endpoint is given; name the others, or leave it on auto" $c.name) -}}
{{- end -}}
{{- if and $c.prune.enabled (not (or $c.retention.last $c.retention.hourly $c.retention.daily $c.retention.weekly $c.retention.monthly $c.retention.yearly $c.retention.within)) -}}
{{- fail (printf "cluster %s: prune has no rule of what to keep; give one under retention, or prune.enabled=false" $c.name) -}}
{{- end -}}
{{- if eq $v.mode "cronjobs" -}}
{{- if $c.jitter }}{{ fail (printf "cluster %s: jitter is for mode service; an H in the schedule spreads CronJobs" $c.name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
