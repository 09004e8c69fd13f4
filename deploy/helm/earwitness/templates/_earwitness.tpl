{{/*
What an application's chart takes from here. Each template is given the chart's own context:

  metadata.labels of the pod       include "earwitness.labels" .
  metadata.annotations of the pod  include "earwitness.annotations" .     a change of settings is a new pod
  spec.initContainers              include "earwitness.sidecar" .         first of all, if others call a vendor
  spec.volumes                     include "earwitness.volume" .
  a template of its own            include "earwitness.configmap" .
*/}}

{{- define "earwitness.name" -}}
{{- if contains "earwitness" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-earwitness" (.Release.Name | trunc 52) -}}
{{- end -}}
{{- end -}}

{{- define "earwitness.labels" -}}
earwitness: sidecar
{{- end -}}

{{- define "earwitness.annotations" -}}
checksum/earwitness: {{ .Values.earwitness.settings | toJson | sha256sum }}
{{- end -}}

{{- define "earwitness.sidecar" -}}
- name: earwitness
  restartPolicy: Always
  {{- include "earwitness.container" . | nindent 2 }}
  env:
    {{- include "earwitness.env" . | nindent 4 }}
  ports:
    - {name: earwitness-prom, containerPort: 9464}
  volumeMounts:
    {{- include "earwitness.mount" . | nindent 4 }}
{{- end -}}

{{- define "earwitness.volume" -}}
- name: earwitness
  configMap: {name: {{ include "earwitness.name" . }}}
{{- end -}}

{{/* JSON is YAML, in which large numbers stay whole. */}}
{{- define "earwitness.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "earwitness.name" . }}
data:
  earwitness.yaml: |
    {{- .Values.earwitness.settings | toPrettyJson | nindent 4 }}
{{- end -}}

{{/* What every container of ours has, in a pod of its own too. */}}
{{- define "earwitness.container" -}}
image: {{ .Values.earwitness.image.repository }}{{ with .Values.earwitness.image }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}{{ end }}
imagePullPolicy: {{ .Values.earwitness.image.pullPolicy }}
startupProbe:
  httpGet: {path: /-/ready, port: earwitness-prom}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 30
resources:
  {{- toYaml .Values.earwitness.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "earwitness.mount" -}}
- {name: earwitness, mountPath: /etc/earwitness, readOnly: true}
{{- end -}}

{{/* Metrics on the pod's address, in brackets, so that it may be of IPv6; what traces say of their pod. */}}
{{- define "earwitness.env" -}}
- {name: EARWITNESS_CONFIG, value: /etc/earwitness/earwitness.yaml}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- {name: EARWITNESS__METRICS__LISTEN, value: "[$(POD_IP)]:9464"}
- {name: OTEL_SERVICE_NAME, value: earwitness}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.uid=$(POD_UID),k8s.node.name=$(NODE_NAME)
{{- with .Values.earwitness.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}
