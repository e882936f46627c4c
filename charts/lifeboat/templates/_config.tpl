{{- /* lifeboat.yaml, with the keys of docs/configuration.md. One file for all pods: what one of them must not read is not mounted there. */ -}}
{{- define "lifeboat.config" -}}
{{- $v := .Values -}}
{{- $sinks := dict -}}
{{- range $name, $sink := include "lifeboat.sinks" . | fromJson -}}
{{- $s := dict "url" $sink.url -}}
{{- if dig "credentials" "secretName" "" $sink }}{{ $_ := set $s "credentials-file" (printf "/etc/lifeboat/sinks/%s/credentials" $name) }}{{ end -}}
{{- if or (dig "ca" "secretName" "" $sink) (dig "ca" "configMapName" "" $sink) }}{{ $_ := set $s "ca-file" (printf "/etc/lifeboat/authorities/%s/ca.crt" $name) }}{{ end -}}
{{- with $sink.readBack }}{{ $_ := set $s "read-back" . }}{{ end -}}
{{- $_ := set $sinks $name $s -}}
{{- end -}}
{{- $clusters := list -}}
{{- range $c := include "lifeboat.clusters" . | fromJsonArray -}}
{{- $out := dict "name" $c.name "endpoints" $c.endpoints "sinks" $c.sinks "timezone" $c.timezone -}}
{{- if $v.controlPlane.enabled -}}
{{- $_ := set $out "tls" (dict "ca" "/etc/lifeboat/etcd/ca.crt" "cert" (printf "/etc/lifeboat/etcd/%s" $v.controlPlane.certificate) "key" (printf "/etc/lifeboat/etcd/%s" $v.controlPlane.key)) -}}
{{- else if $c.etcdTLS.secretName -}}
{{- $dir := printf "/etc/lifeboat/etcd/%s" $c.etcdTLS.secretName -}}
{{- $tls := dict "ca" (printf "%s/ca.crt" $dir) -}}
{{- if $c.etcdTLS.clientCertificate }}{{ $_ := mergeOverwrite $tls (dict "cert" (printf "%s/tls.crt" $dir) "key" (printf "%s/tls.key" $dir)) }}{{ end -}}
{{- $_ := set $out "tls" $tls -}}
{{- end -}}
{{- if $c.etcdAuth.user -}}
{{- $_ := mergeOverwrite $out (dict "user" $c.etcdAuth.user "password-file" (printf "/etc/lifeboat/passwords/%s/%s" $c.etcdAuth.passwordSecret $c.etcdAuth.passwordKey)) -}}
{{- end -}}
{{- $keep := dict -}}
{{- range $rule, $n := $c.retention }}{{ if $n }}{{ $_ := set $keep $rule (ternary $n (int64 $n) (kindIs "string" $n)) }}{{ end }}{{ end -}}
{{- $_ := set $out "retention" $keep -}}
{{- with $c.jitter }}{{ $_ := set $out "jitter" . }}{{ end -}}
{{- with $c.heartbeat }}{{ $_ := set $out "heartbeat" . }}{{ end -}}
{{- if $c.backup.enabled }}{{ $_ := mergeOverwrite $out (pick $c.backup "schedule" "timeout") }}{{ end -}}
{{- if $c.verify.enabled -}}
{{- $verify := pick $c.verify "schedule" "timeout" "deep" -}}
{{- with $c.verify.sample }}{{ $_ := set $verify "sample" . }}{{ end -}}
{{- $_ := set $out "verify" $verify -}}
{{- end -}}
{{- if $c.crossCheck.enabled }}{{ $_ := set $out "cross-check" (pick $c.crossCheck "schedule" "timeout") }}{{ end -}}
{{- if $c.rehearse.enabled -}}
{{- $rehearse := pick $c.rehearse "schedule" "timeout" -}}
{{- $_ := set $rehearse "members" (int $c.rehearse.members) -}}
{{- with $c.rehearse.maxAge }}{{ $_ := set $rehearse "max-age" . }}{{ end -}}
{{- $_ := set $out "rehearse" $rehearse -}}
{{- end -}}
{{- if $c.prune.enabled }}{{ $_ := set $out "prune" (pick $c.prune "schedule" "timeout") }}{{ end -}}
{{- $clusters = append $clusters $out -}}
{{- end -}}
{{- $encryption := dict "mode" $v.encryption.mode -}}
{{- if eq $v.encryption.mode "age" }}{{ $_ := set $encryption "recipients-file" "/etc/lifeboat/config/recipients.txt" }}{{ end -}}
{{- if $v.identity.secretName -}}
{{- $files := list -}}
{{- range $v.identity.keys }}{{ $files = append $files (printf "/etc/lifeboat/identity/%s" .) }}{{ end -}}
{{- $_ := set $encryption "identity" $files -}}
{{- with $v.identity.passphraseKey }}{{ $_ := set $encryption "identity-passphrase-file" (printf "/etc/lifeboat/identity/%s" .) }}{{ end -}}
{{- end -}}
{{- $signing := dict -}}
{{- if $v.signing.secretName }}{{ $_ := set $signing "key-file" "/etc/lifeboat/signing/sign.key" }}{{ end -}}
{{- if $v.trustedKeys }}{{ $_ := set $signing "trusted-keys-file" "/etc/lifeboat/config/trusted-keys.txt" }}{{ end -}}
{{- $file := dict "clusters" $clusters "sinks" $sinks "encryption" $encryption -}}
{{- if $signing }}{{ $_ := set $file "signing" $signing }}{{ end -}}
{{- toYaml $file -}}
{{- end -}}

{{- /* Whether the configuration has something in it that nobody else should read: addresses of heartbeats. */ -}}
{{- define "lifeboat.configIsSecret" -}}
{{- range include "lifeboat.clusters" . | fromJsonArray }}{{ if .heartbeat }}true{{ end }}{{ end -}}
{{- end -}}
