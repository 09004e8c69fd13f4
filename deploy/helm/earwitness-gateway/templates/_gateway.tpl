{{- define "gateway.selector" -}}
earwitness: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.labels" -}}
app.kubernetes.io/name: earwitness
app.kubernetes.io/component: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Name and port of each listener. */}}
{{- define "gateway.ports" -}}
{{- range .Values.earwitness.settings.listeners }}
- {name: {{ .name | default .vendor }}, port: {{ regexFind "[0-9]+$" .listen }}}
{{- end }}
{{- end -}}
