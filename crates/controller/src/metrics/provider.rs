//! What providers of metrics are called.

use serin_api::MetricProvider;

/// The provider of a metric, as manifests spell it.
pub(super) fn field(provider: &MetricProvider) -> &'static str {
    names(provider).map_or("none", |(field, _)| field)
}

/// The provider of a metric, as upstream's series spell it.
pub(super) fn kind(provider: &MetricProvider) -> &'static str {
    names(provider).map_or("Unknown Provider", |(_, kind)| kind)
}

fn names(provider: &MetricProvider) -> Option<(&'static str, &'static str)> {
    let named = [
        (provider.prometheus.is_some(), ("prometheus", "Prometheus")),
        (provider.job.is_some(), ("job", "Job")),
        (provider.kayenta.is_some(), ("kayenta", "Kayenta")),
        (provider.web.is_some(), ("web", "Web")),
        (provider.datadog.is_some(), ("datadog", "Datadog")),
        (provider.wavefront.is_some(), ("wavefront", "Wavefront")),
        (provider.new_relic.is_some(), ("newRelic", "NewRelic")),
        (provider.cloud_watch.is_some(), ("cloudWatch", "CloudWatch")),
        (provider.graphite.is_some(), ("graphite", "Graphite")),
        (provider.influxdb.is_some(), ("influxdb", "Influxdb")),
        (provider.skywalking.is_some(), ("skywalking", "skywalking")),
        (!provider.plugin.is_empty(), ("plugin", "RPCPlugin")),
    ];
    named.into_iter().find(|(present, _)| *present).map(|(_, names)| names)
}
