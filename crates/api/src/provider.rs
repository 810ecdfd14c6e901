//! Who takes the measurements of a metric, with each provider's own settings.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::value::{DurationString, IntOrString, always_written, wire};

wire! {
    /// Who measures; exactly one field should be set.
    pub struct MetricProvider {
        /// Prometheus.
        pub prometheus: Option<PrometheusMetric>,
        /// Kayenta, Spinnaker's judge.
        pub kayenta: Option<KayentaMetric>,
        /// Any HTTP endpoint that answers with JSON.
        pub web: Option<WebMetric>,
        /// Datadog.
        pub datadog: Option<DatadogMetric>,
        /// Wavefront.
        pub wavefront: Option<WavefrontMetric>,
        /// New Relic.
        pub new_relic: Option<NewRelicMetric>,
        /// A Kubernetes Job that succeeds or fails.
        pub job: Option<JobMetric>,
        /// Amazon CloudWatch.
        pub cloud_watch: Option<CloudWatchMetric>,
        /// Graphite.
        pub graphite: Option<GraphiteMetric>,
        /// InfluxDB.
        pub influxdb: Option<InfluxdbMetric>,
        /// Apache SkyWalking.
        pub skywalking: Option<SkyWalkingMetric>,
        /// External metric plugins, by name, each with its own configuration.
        #[schemars(schema_with = "crate::value::any_object")]
        pub plugin: BTreeMap<String, Value>,
    }

    /// A PromQL query.
    pub struct PrometheusMetric {
        /// URL of the server.
        pub address: Option<String>,
        /// The PromQL query.
        pub query: Option<String>,
        /// How to prove who we are.
        pub authentication: Option<Authentication>,
        /// Seconds to wait for an answer; 30 if absent.
        pub timeout: Option<i64>,
        /// Whether the server's certificate is not checked.
        pub insecure: bool,
        /// Headers of the request.
        pub headers: Vec<WebMetricHeader>,
        /// Makes the query one over a range of time.
        pub range_query: Option<PrometheusRangeQuery>,
    }

    /// The range of a PromQL range query.
    pub struct PrometheusRangeQuery {
        /// Expression for the first instant, such as `now() - duration("5m")`.
        pub start: Option<String>,
        /// Expression for the last instant, such as `now()`.
        pub end: Option<String>,
        /// Time between two samples.
        pub step: Option<DurationString>,
    }

    /// How to prove who we are; at most one field should be set.
    pub struct Authentication {
        /// AWS signature version 4.
        pub sigv4: Option<Sigv4Config>,
        /// OAuth 2 client credentials.
        pub oauth2: Option<Oauth2Config>,
        /// User name and password.
        pub basic_auth: Option<BasicAuthConfig>,
    }

    /// OAuth 2 client credentials.
    pub struct Oauth2Config {
        /// URL that issues tokens.
        pub token_url: Option<String>,
        /// Identity of the client.
        pub client_id: Option<String>,
        /// Secret of the client.
        pub client_secret: Option<String>,
        /// Scopes to ask for.
        pub scopes: Vec<String>,
    }

    /// AWS signature version 4.
    pub struct Sigv4Config {
        /// AWS region.
        pub region: Option<String>,
        /// Profile of the AWS configuration.
        pub profile: Option<String>,
        /// Role to assume.
        pub role_arn: Option<String>,
    }

    /// User name and password.
    pub struct BasicAuthConfig {
        /// User name.
        pub username: Option<String>,
        /// Password.
        pub password: Option<String>,
    }

    /// A SkyWalking GraphQL query.
    pub struct SkyWalkingMetric {
        /// URL of the OAP server.
        pub address: Option<String>,
        /// The GraphQL query, with one variable `$duration`.
        pub query: Option<String>,
        /// Length of the window that the query looks back over.
        pub interval: Option<DurationString>,
    }

    /// An HTTP request whose answer is JSON.
    pub struct WebMetric {
        /// GET, POST or PUT; GET if absent.
        pub method: Option<String>,
        /// URL.
        pub url: String,
        /// Headers of the request.
        pub headers: Vec<WebMetricHeader>,
        /// Body of the request as text; either this or `jsonBody`.
        pub body: Option<String>,
        /// Seconds to wait for an answer; 10 if absent.
        pub timeout_seconds: Option<i64>,
        /// Which part of the answer is the result, as JSONPath; all of it if absent.
        pub json_path: Option<String>,
        /// Whether the server's certificate is not checked.
        pub insecure: bool,
        /// Body of the request as JSON; either this or `body`.
        #[schemars(schema_with = "crate::value::any_object")]
        pub json_body: Option<Value>,
        /// How to prove who we are.
        pub authentication: Option<Authentication>,
    }

    /// A header of a request.
    pub struct WebMetricHeader {
        /// Name.
        pub key: String,
        /// Value.
        pub value: String,
    }

    /// A Kubernetes Job that succeeds or fails.
    pub struct JobMetric {
        /// Labels and annotations of the Job.
        #[schemars(schema_with = "crate::value::any_object")]
        pub metadata: Option<Value>,
        /// Spec of the Job, raw so that fields newer than this program survive.
        #[schemars(schema_with = "crate::value::any_object")]
        pub spec: Option<Value>,
    }

    /// A Datadog query.
    pub struct DatadogMetric {
        /// Length of the window that the query looks back over; 5m if absent.
        pub interval: Option<DurationString>,
        /// The query; either this or `queries`.
        pub query: Option<String>,
        /// Several queries by name, combined by `formula`.
        pub queries: BTreeMap<String, String>,
        /// Combines `queries`.
        pub formula: Option<String>,
        /// `v1` (default) or `v2`.
        pub api_version: Option<String>,
        /// How a series becomes a number: `last` (default), `avg`, `min`, `max`, `sum` and others.
        pub aggregator: Option<String>,
        /// Where the keys are.
        pub secret_ref: Option<SecretRef>,
        /// Time to wait for an answer; 10s if absent.
        pub request_timeout: Option<DurationString>,
    }

    /// A Secret.
    pub struct SecretRef {
        /// Name.
        pub name: Option<String>,
        /// Whether it is in the AnalysisRun's namespace, not in the controller's.
        pub namespaced: bool,
    }

    /// A New Relic query.
    pub struct NewRelicMetric {
        /// Name of the Secret with the keys.
        pub profile: Option<String>,
        /// The NRQL query.
        pub query: String,
        /// Seconds to wait for an answer.
        pub timeout: Option<i64>,
    }

    /// A Wavefront query.
    pub struct WavefrontMetric {
        /// URL of the server.
        pub address: Option<String>,
        /// The query.
        pub query: Option<String>,
    }

    /// A Graphite query.
    pub struct GraphiteMetric {
        /// URL of the server.
        pub address: Option<String>,
        /// The query.
        pub query: Option<String>,
    }

    /// An InfluxDB query.
    pub struct InfluxdbMetric {
        /// Name of the Secret with address and token.
        pub profile: Option<String>,
        /// The Flux query.
        pub query: Option<String>,
    }

    /// Amazon CloudWatch queries.
    pub struct CloudWatchMetric {
        /// Length of the window that the queries look back over; 5m if absent.
        pub interval: Option<DurationString>,
        /// The queries.
        pub metric_data_queries: Vec<CloudWatchQuery>,
    }

    /// An Amazon CloudWatch query; either `expression` or `metricStat`.
    pub struct CloudWatchQuery {
        /// Name by which other queries refer to it.
        pub id: Option<String>,
        /// A metric math expression.
        pub expression: Option<String>,
        /// A label for people.
        pub label: Option<String>,
        /// A metric and its statistic.
        pub metric_stat: Option<CloudWatchStat>,
        /// Seconds between two samples.
        pub period: Option<IntOrString>,
        /// Whether the answer contains this query; true if absent.
        pub return_data: Option<bool>,
    }

    /// A CloudWatch metric and its statistic.
    pub struct CloudWatchStat {
        /// The metric.
        pub metric: Option<CloudWatchStatMetric>,
        /// Seconds between two samples.
        pub period: Option<IntOrString>,
        /// The statistic, such as `Average`.
        pub stat: Option<String>,
        /// The unit, such as `Count`.
        pub unit: Option<String>,
    }

    /// A CloudWatch metric.
    pub struct CloudWatchStatMetric {
        /// Narrows the metric down.
        pub dimensions: Vec<CloudWatchDimension>,
        /// Name of the metric.
        pub metric_name: Option<String>,
        /// Namespace of the metric, such as `AWS/ApplicationELB`.
        pub namespace: Option<String>,
    }

    /// A dimension of a CloudWatch metric.
    pub struct CloudWatchDimension {
        /// Name.
        pub name: Option<String>,
        /// Value.
        pub value: Option<String>,
    }

    /// A judgement by Kayenta.
    pub struct KayentaMetric {
        /// URL of the server.
        pub address: String,
        /// Name of the application.
        pub application: String,
        /// Name of the canary configuration.
        pub canary_config_name: String,
        /// Account that metrics are read with.
        pub metrics_account_name: String,
        /// Account that the configuration is read with.
        pub configuration_account_name: String,
        /// Account that results are stored with.
        pub storage_account_name: String,
        /// Scores that pass.
        pub threshold: KayentaThreshold,
        /// What is compared.
        pub scopes: Vec<KayentaScope>,
        /// Whether the window ends now.
        pub lookback: bool,
    }

    /// Scores that pass, from 0 to 100.
    pub struct KayentaThreshold {
        /// At or above it the measurement is good.
        pub pass: i64,
        /// Below it the measurement is bad; between the two it is inconclusive.
        pub marginal: i64,
    }

    /// What Kayenta compares.
    pub struct KayentaScope {
        /// Name.
        pub name: String,
        /// The baseline.
        pub control_scope: ScopeDetail,
        /// The canary.
        pub experiment_scope: ScopeDetail,
    }

    /// One side of a comparison by Kayenta.
    pub struct ScopeDetail {
        /// Name of the server group.
        pub scope: String,
        /// Region.
        pub region: String,
        /// Seconds between two samples.
        pub step: i64,
        /// First instant, in RFC 3339.
        pub start: Option<String>,
        /// Last instant, in RFC 3339.
        pub end: Option<String>,
    }
}

always_written!(MetricProvider, KayentaThreshold, ScopeDetail);
