{{- define "palisade.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "palisade.labels" -}}
app.kubernetes.io/name: palisade
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* What pods are chosen by: (dict "root" $ "process" "api") */}}
{{- define "palisade.selector" -}}
app.kubernetes.io/name: palisade
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- end }}

{{- define "palisade.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "palisade.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* The environment of a process: (dict "root" $ "direct" false) */}}
{{- define "palisade.environment" -}}
envFrom:
  - configMapRef: {name: {{ .root.Release.Name }}-settings}
  - secretRef: {name: {{ .root.Values.secretName }}}
env:
  - name: PALISADE_DRAIN_SECONDS
    value: {{ .root.Values.drainSeconds | quote }}
{{- if and .direct .root.Values.directDatabaseSecretKey }}
  - name: DATABASE_URL
    valueFrom: {secretKeyRef: {name: {{ .root.Values.secretName }}, key: {{ .root.Values.directDatabaseSecretKey }}}}
  - name: PALISADE_DATABASE_POOLED
    value: "false"
{{- end }}
{{- end }}

{{- define "palisade.mounts" -}}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
{{- if .Values.backups.enabled }}
  - {name: backups, mountPath: /backups}
{{- end }}
{{- end }}

{{- define "palisade.volumes" -}}
volumes:
  - name: data
    persistentVolumeClaim: {claimName: {{ .Release.Name }}-data}
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
{{- if .Values.backups.enabled }}
  - name: backups
    persistentVolumeClaim: {claimName: {{ .Release.Name }}-backups}
{{- end }}
{{- end }}
