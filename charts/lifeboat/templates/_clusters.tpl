{{- /* The sinks by name, as JSON: of `sink`, or of `sinks`. */ -}}
{{- define "lifeboat.sinks" -}}
{{- if .Values.sinks -}}
{{- toJson .Values.sinks -}}
{{- else -}}
{{- dict "primary" (dict "url" .Values.sink "credentials" .Values.sinkCredentials "ca" .Values.sinkCA "readBack" .Values.sinkReadBack) | toJson -}}
{{- end -}}
{{- end -}}

{{- /* The clusters, as a JSON list: each with everything that holds for it, its jobs with what `auto` means there and without H in their
schedules. */ -}}
{{- define "lifeboat.clusters" -}}
{{- $root := . -}}
{{- $v := .Values -}}
{{- $sinks := include "lifeboat.sinks" . | fromJson | keys | sortAlpha -}}
{{- $common := pick $v "etcdTLS" "etcdAuth" "timezone" "jitter" "backup" "verify" "crossCheck" "rehearse" "prune" "retention" "heartbeat" -}}
{{- $alone := dict "name" (default .Release.Name $v.cluster) "endpoints" $v.endpoints "alone" true -}}
{{- if and $v.controlPlane.enabled (not $v.endpoints) -}}
{{- $_ := set $alone "endpoints" (list "https://127.0.0.1:2379") -}}
{{- end -}}
{{- $opens := or (ne $v.identity.secretName "") (eq $v.encryption.mode "none") -}}
{{- $all := list -}}
{{- range default (list $alone) $v.clusters -}}
{{- $c := mergeOverwrite (deepCopy $common) (dict "alone" false "sinks" $sinks) . -}}
{{- range $job := list "backup" "verify" "crossCheck" "rehearse" "prune" -}}
{{- $j := index $c $job -}}
{{- $_ := set $j "schedule" (include "lifeboat.schedule" (dict "schedule" $j.schedule "seed" (printf "%s %s" $c.name $job))) -}}
{{- end -}}
{{- if eq (toString $c.crossCheck.enabled) "auto" }}{{ $_ := set $c.crossCheck "enabled" (gt (len $c.endpoints) 1) }}{{ end -}}
{{- if eq (toString $c.rehearse.enabled) "auto" }}{{ $_ := set $c.rehearse "enabled" $opens }}{{ end -}}
{{- if eq (toString $c.verify.deep) "auto" }}{{ $_ := set $c.verify "deep" $opens }}{{ end -}}
{{- $all = append $all $c -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{- /* What the command of a job is called by, as a JSON list. Takes cluster and job. */ -}}
{{- define "lifeboat.jobArgs" -}}
{{- $j := index .cluster .job -}}
{{- $args := list -}}
{{- if eq .job "backup" -}}
{{- $args = list "backup" "--spool-dir=/spool" -}}
{{- else if eq .job "verify" -}}
{{- $args = list "verify" "--spool-dir=/spool" -}}
{{- if $j.deep }}{{ $args = append $args "--deep" }}{{ end -}}
{{- with $j.sample }}{{ $args = concat $args (list "--all" (printf "--sample=%s" .)) }}{{ end -}}
{{- else if eq .job "crossCheck" -}}
{{- $args = list "verify" "--cross-check" "--spool-dir=/spool" -}}
{{- else if eq .job "rehearse" -}}
{{- $args = list "rehearse" "--dir=/spool" (printf "--members=%d" (int $j.members)) -}}
{{- with $j.maxAge }}{{ $args = append $args (printf "--max-age=%s" .) }}{{ end -}}
{{- else -}}
{{- $args = list "prune" "--apply" -}}
{{- end -}}
{{- concat $args (list "--config=/etc/lifeboat/config/lifeboat.yaml" (printf "--cluster=%s" .cluster.name) (printf "--timeout=%s" $j.timeout)) (default list $j.extraArgs) | toJson -}}
{{- end -}}
