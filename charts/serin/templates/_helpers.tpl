{{/* The name of all objects of the release. */}}
{{- define "serin.name" -}}
{{- if eq .Release.Name "serin" -}}serin{{- else -}}{{ printf "%s-serin" .Release.Name | trunc 53 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* The name of objects that belong to no namespace: two releases of one name in two namespaces do not share them. */}}
{{- define "serin.clusterName" -}}
{{ include "serin.name" . }}-{{ .Release.Namespace }}
{{- end -}}

{{- define "serin.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "serin.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "serin.selector" -}}
app.kubernetes.io/name: serin
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "serin.labels" -}}
{{ include "serin.selector" . }}
app.kubernetes.io/component: controller
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* What the controller does with the objects of a namespace that it looks after. */}}
{{- define "serin.rules" -}}
# Of what is not status, only annotations and spec.replicas are patched.
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [patch]
# Clusters that enforce owner references want this before a child may block the deletion of its Rollout.
- apiGroups: [argoproj.io]
  resources: [rollouts/finalizers]
  verbs: [update]
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [argoproj.io]
  resources: [experiments]
  verbs: [get, list, watch, create, patch, delete]
# The same for what an Experiment creates.
- apiGroups: [argoproj.io]
  resources: [experiments/finalizers]
  verbs: [update]
# The same for Jobs and their AnalysisRun.
- apiGroups: [argoproj.io]
  resources: [analysisruns/finalizers]
  verbs: [update]
# Metrics with the provider job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [argoproj.io]
  resources: [analysistemplates]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
# workloadRef.scaleDown.
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, list, watch]
# Labels that tell stable pods from canary pods; what hinders the pods of Jobs.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# spec.restartAt: disruption budgets have the last word.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# Selectors of the Services that Rollouts name; Services for the pods of Experiments.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.istio.io]
  resources: [virtualservices, destinationrules]
  verbs: [get, list, watch, patch]
# An event that happens again is counted on the old one.
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- if .Values.rbac.secrets.read }}
# Arguments of analyses by secretKeyRef.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
  {{- with .Values.rbac.secrets.names }}
  resourceNames: {{ toJson . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "serin.subject" -}}
- kind: ServiceAccount
  name: {{ include "serin.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
