{{- define "lifeboat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "lifeboat.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "lifeboat.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lifeboat.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of what is there once for each cluster: at most 52 characters, which is what a CronJob may have. A cluster's name that had
to be changed or cut brings a piece of its hash along, so that no two are the same. Takes root, cluster, and job, which is its last word. */ -}}
{{- define "lifeboat.jobName" -}}
{{- $full := include "lifeboat.fullname" .root -}}
{{- if .cluster.alone -}}
{{- printf "%s-%s" $full .job -}}
{{- else -}}
{{- $slug := regexReplaceAll "[^a-z0-9-]" (lower .cluster.name) "-" -}}
{{- $name := printf "%s-%s-%s" $full $slug .job -}}
{{- if and (eq $slug .cluster.name) (le (len $name) 52) -}}
{{- $name -}}
{{- else -}}
{{- $room := sub 42 (len .job) | int -}}
{{- printf "%s-%s-%s" (printf "%s-%s" $full $slug | trunc $room | trimSuffix "-") (sha256sum .cluster.name | trunc 8) .job -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "lifeboat.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lifeboat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "lifeboat.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "lifeboat.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The ServiceAccount of a role. Takes root and role. */ -}}
{{- define "lifeboat.serviceAccountName" -}}
{{- $account := (index .root.Values.roles .role).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "lifeboat.fullname" .root) .role) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "lifeboat.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}
