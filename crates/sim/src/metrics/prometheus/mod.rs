//! Answers PromQL over the HTTP API of Prometheus.
