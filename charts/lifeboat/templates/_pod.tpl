{{- /*
The spec of every pod of the chart. It takes:
  root, role     whose ServiceAccount and credentials
  configIsSecret what lifeboat.configIsSecret says, which takes long to ask for every pod of many clusters
  clusters       whose Secrets are mounted
  etcd           whether it talks to etcd, opens whether it opens backups, signs whether it signs
  tells          whether it makes Kubernetes Events, if any are wanted, and so needs the token of its ServiceAccount
  args           of lifeboat
  resources, spoolSize
  rehearsalSize  of a folder of its own for throwaway clusters, /rehearsal; empty for none
  container      further fields of the container, as YAML
*/ -}}
{{- define "lifeboat.podSpec" -}}
{{- $v := .root.Values -}}
{{- $onControlPlane := and .etcd $v.controlPlane.enabled -}}
{{- $tells := and .tells $v.kubernetesEvents.enabled -}}
{{- $volumes := include "lifeboat.volumes" . | fromJsonArray -}}
serviceAccountName: {{ include "lifeboat.serviceAccountName" . }}
automountServiceAccountToken: {{ ternary true false (default false $tells) }}
enableServiceLinks: false
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $onControlPlane }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
nodeSelector:
  {{- mergeOverwrite (deepCopy $v.nodeSelector) $v.controlPlane.nodeSelector | toYaml | nindent 2 }}
{{- with concat $v.tolerations $v.controlPlane.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if $v.affinity }}
  {{- toYaml $v.affinity | nindent 2 }}
  {{- else }}
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions:
            - {key: node-role.kubernetes.io/control-plane, operator: DoesNotExist}
  {{- end }}
{{- end }}
{{- with $v.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- if $onControlPlane }}
  {{- mergeOverwrite (deepCopy $v.podSecurityContext) (dict "runAsNonRoot" false "runAsUser" 0 "runAsGroup" 0) | toYaml | nindent 2 }}
  {{- else }}
  {{- toYaml $v.podSecurityContext | nindent 2 }}
  {{- end }}
containers:
  - name: lifeboat
    image: {{ include "lifeboat.image" .root | quote }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    # What a failed command said last, in the status of the pod.
    terminationMessagePolicy: FallbackToLogsOnError
    args:
      {{- toYaml (ternary (append .args "--log-format=json") .args (eq $v.logFormat "json")) | nindent 6 }}
    env:
      # For what is run in the pod by hand: kubectl exec … -- /lifeboat status
      - name: LIFEBOAT_CONFIG
        value: /etc/lifeboat/config/lifeboat.yaml
      - name: TMPDIR
        value: /spool
      {{- if $tells }}
      - {name: LIFEBOAT_KUBERNETES_EVENTS, value: "true"}
      - {name: LIFEBOAT_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      - {name: LIFEBOAT_POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
      {{- if ne .role "service" }}
      - {name: LIFEBOAT_JOB_NAME, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}
      - {name: LIFEBOAT_JOB_UID, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}}
      {{- end }}
      {{- end }}
      {{- with $v.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $v.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .container }}
    {{- . | nindent 4 }}
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- toYaml $v.securityContext | nindent 6 }}
    volumeMounts:
      - {name: spool, mountPath: /spool}
      {{- if .rehearsalSize }}
      - {name: rehearsal, mountPath: /rehearsal}
      {{- end }}
      {{- range $volumes }}
      - {name: {{ .name }}, mountPath: {{ .path | quote }}, readOnly: true}
      {{- end }}
      {{- with $v.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: spool
    emptyDir:
      sizeLimit: {{ .spoolSize }}
  {{- with .rehearsalSize }}
  - name: rehearsal
    emptyDir:
      sizeLimit: {{ . }}
  {{- end }}
  {{- range $volumes }}
  - name: {{ .name }}
    {{- toYaml .source | nindent 4 }}
  {{- end }}
  {{- with $v.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* What a pod mounts to read, as a JSON list of name, path and source. Takes what lifeboat.podSpec takes. */ -}}
{{- define "lifeboat.volumes" -}}
{{- $v := .root.Values -}}
{{- $in := . -}}
{{- $all := list -}}
{{- $config := printf "%s-config" (include "lifeboat.fullname" .root) -}}
{{- if .configIsSecret -}}
{{- $all = append $all (dict "name" "config" "path" "/etc/lifeboat/config" "source" (dict "secret" (dict "secretName" $config "defaultMode" 288))) -}}
{{- else -}}
{{- $all = append $all (dict "name" "config" "path" "/etc/lifeboat/config" "source" (dict "configMap" (dict "name" $config))) -}}
{{- end -}}
{{- $sinks := include "lifeboat.sinks" .root | fromJson -}}
{{- $used := list -}}
{{- $seen := dict -}}
{{- range $c := .clusters -}}
{{- $used = concat $used $c.sinks | uniq -}}
{{- if and $in.etcd (not $v.controlPlane.enabled) $c.etcdTLS.secretName -}}
{{- $secret := $c.etcdTLS.secretName -}}
{{- if not (hasKey $seen (printf "etcd %s" $secret)) -}}
{{- $_ := set $seen (printf "etcd %s" $secret) true -}}
{{- $all = append $all (dict "name" (printf "etcd-%s" (sha256sum $secret | trunc 8)) "path" (printf "/etc/lifeboat/etcd/%s" $secret) "source" (dict "secret" (dict "secretName" $secret "defaultMode" 288))) -}}
{{- end -}}
{{- end -}}
{{- if and $in.etcd $c.etcdAuth.user -}}
{{- $secret := $c.etcdAuth.passwordSecret -}}
{{- if not (hasKey $seen (printf "password %s" $secret)) -}}
{{- $_ := set $seen (printf "password %s" $secret) true -}}
{{- $all = append $all (dict "name" (printf "password-%s" (sha256sum $secret | trunc 8)) "path" (printf "/etc/lifeboat/passwords/%s" $secret) "source" (dict "secret" (dict "secretName" $secret "defaultMode" 288))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .etcd $v.controlPlane.enabled -}}
{{- $all = append $all (dict "name" "etcd-pki" "path" "/etc/lifeboat/etcd" "source" (dict "hostPath" (dict "path" $v.controlPlane.pkiPath "type" "Directory"))) -}}
{{- end -}}
{{- range $name := $used | sortAlpha -}}
{{- $sink := index $sinks $name -}}
{{- $piece := sha256sum $name | trunc 8 -}}
{{- with $sink.credentials -}}
{{- if .secretName -}}
{{- $secret := default .secretName (index (default dict .roles) $in.role) -}}
{{- $all = append $all (dict "name" (printf "sink-%s" $piece) "path" (printf "/etc/lifeboat/sinks/%s" $name) "source" (dict "secret" (dict "secretName" $secret "defaultMode" 288 "items" (list (dict "key" (default "credentials" .key) "path" "credentials"))))) -}}
{{- end -}}
{{- end -}}
{{- with $sink.ca -}}
{{- $items := list (dict "key" (default "ca.crt" .key) "path" "ca.crt") -}}
{{- if .secretName -}}
{{- $all = append $all (dict "name" (printf "authority-%s" $piece) "path" (printf "/etc/lifeboat/authorities/%s" $name) "source" (dict "secret" (dict "secretName" .secretName "defaultMode" 288 "items" $items))) -}}
{{- else if .configMapName -}}
{{- $all = append $all (dict "name" (printf "authority-%s" $piece) "path" (printf "/etc/lifeboat/authorities/%s" $name) "source" (dict "configMap" (dict "name" .configMapName "items" $items))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .opens $v.identity.secretName -}}
{{- $all = append $all (dict "name" "identity" "path" "/etc/lifeboat/identity" "source" (dict "secret" (dict "secretName" $v.identity.secretName "defaultMode" 288))) -}}
{{- end -}}
{{- if and .signs $v.signing.secretName -}}
{{- $all = append $all (dict "name" "signing" "path" "/etc/lifeboat/signing" "source" (dict "secret" (dict "secretName" $v.signing.secretName "defaultMode" 288 "items" (list (dict "key" $v.signing.key "path" "sign.key"))))) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}
