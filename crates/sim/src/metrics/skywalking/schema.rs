//! The part of SkyWalking's query schema that is answered here, and since which version each field exists.

use super::Version;

/// A field of an object type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The type's name, without list and non-null marks.
    pub(super) returns: &'static str,
    since: Version,
    pub(super) arguments: &'static [Argument],
}

/// An argument, or a field of an input object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    pub(super) needed: Needed,
}

/// Whether an argument may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Always,
    Never,
    /// Required by servers before this version.
    Before(Version),
}

impl Needed {
    pub(super) fn by(self, version: Version) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Before(changed) => version < changed,
        }
    }
}

/// MQE and the marks for empty values came with 9.5.
const MQE: Version = Version(9, 5);
const EVER: Version = Version(0, 0);

const fn field(name: &'static str, returns: &'static str) -> Field {
    Field { name, returns, since: EVER, arguments: &[] }
}

const fn since(version: Version, field: Field) -> Field {
    Field { since: version, ..field }
}

const fn with(arguments: &'static [Argument], field: Field) -> Field {
    Field { arguments, ..field }
}

const fn required(name: &'static str, takes: &'static str) -> Argument {
    Argument { name, takes, needed: Needed::Always }
}

const fn optional(name: &'static str, takes: &'static str) -> Argument {
    Argument { name, takes, needed: Needed::Never }
}

const READ: &[Argument] = &[required("condition", "MetricsCondition"), required("duration", "Duration")];
const READ_LABELED: &[Argument] =
    &[required("condition", "MetricsCondition"), required("labels", "[String]"), required("duration", "Duration")];
const EXPRESSION: &[Argument] = &[
    required("expression", "String"),
    required("entity", "Entity"),
    required("duration", "Duration"),
    optional("debug", "Boolean"),
    optional("dumpDBRsp", "Boolean"),
];

const QUERY: &[Field] = &[
    field("version", "String"),
    field("getTimeInfo", "TimeInfo"),
    field("checkHealth", "HealthStatus"),
    with(&[required("name", "String")], field("typeOfMetrics", "MetricsType")),
    with(&[optional("regex", "String")], field("listMetrics", "MetricDefinition")),
    with(&[required("serviceName", "String")], field("findService", "Service")),
    with(READ, field("readMetricsValue", "Long")),
    since(MQE, with(READ, field("readNullableMetricsValue", "NullableValue"))),
    with(READ, field("readMetricsValues", "MetricsValues")),
    with(READ_LABELED, field("readLabeledMetricsValues", "MetricsValues")),
    since(MQE, with(EXPRESSION, field("execExpression", "ExpressionResult"))),
];

/// The fields of a type, or `None` if it has none (a scalar or an enum).
pub(super) fn fields(type_name: &str) -> Option<&'static [Field]> {
    Some(match type_name {
        "Query" => QUERY,
        "TimeInfo" => const { &[field("timezone", "String"), field("currentTimestamp", "Long")] },
        "HealthStatus" => const { &[field("score", "Int"), field("details", "String")] },
        "MetricDefinition" => {
            const { &[field("name", "String"), field("type", "MetricsType"), field("catalog", "String")] }
        }
        "Service" => {
            const {
                &[
                    field("id", "ID"),
                    field("name", "String"),
                    field("shortName", "String"),
                    field("group", "String"),
                    field("layers", "String"),
                    field("normal", "Boolean"),
                ]
            }
        }
        "MetricsValues" => const { &[field("label", "String"), field("values", "IntValues")] },
        "IntValues" => const { &[field("values", "KVInt")] },
        "KVInt" => const { &[field("id", "ID"), field("value", "Long"), since(MQE, field("isEmptyValue", "Boolean"))] },
        "NullableValue" => const { &[field("value", "Long"), field("isEmptyValue", "Boolean")] },
        "ExpressionResult" => {
            const { &[field("type", "ExpressionResultType"), field("results", "MQEValues"), field("error", "String")] }
        }
        "MQEValues" => const { &[field("metric", "MQEMetric"), field("values", "MQEValue")] },
        "MQEMetric" => const { &[field("labels", "KeyValue")] },
        "KeyValue" => const { &[field("key", "String"), field("value", "String")] },
        "MQEValue" => const { &[field("id", "ID"), field("value", "String"), field("traceID", "String")] },
        _leaf => return None,
    })
}

/// The field of a type, if this version has it.
pub(super) fn find(type_name: &str, name: &str, version: Version) -> Option<&'static Field> {
    fields(type_name)?.iter().find(|field| field.name == name && field.since <= version)
}

/// The fields of an input object, or `None` if the type is none.
pub(super) fn inputs(type_name: &str) -> Option<&'static [Argument]> {
    Some(match type_name {
        "MetricsCondition" => const { &[required("name", "String"), required("entity", "Entity")] },
        "Duration" => {
            const {
                &[
                    required("start", "String"),
                    required("end", "String"),
                    required("step", "Step"),
                    optional("coldStage", "Boolean"),
                ]
            }
        }
        "Entity" => {
            const {
                &[
                    Argument { name: "scope", takes: "Scope", needed: Needed::Before(Version(9, 4)) },
                    optional("serviceName", "String"),
                    optional("normal", "Boolean"),
                    optional("serviceInstanceName", "String"),
                    optional("endpointName", "String"),
                    optional("processName", "String"),
                    optional("destServiceName", "String"),
                    optional("destNormal", "Boolean"),
                    optional("destServiceInstanceName", "String"),
                    optional("destEndpointName", "String"),
                    optional("destProcessName", "String"),
                ]
            }
        }
        _leaf => return None,
    })
}

/// The values of an enum, or `None` if the type is none.
pub(super) fn choices(type_name: &str) -> Option<&'static [&'static str]> {
    match type_name {
        "Step" => Some(&["DAY", "HOUR", "MINUTE", "SECOND"]),
        "Scope" => Some(&[
            "All",
            "Service",
            "ServiceInstance",
            "Endpoint",
            "Process",
            "ServiceRelation",
            "ServiceInstanceRelation",
            "EndpointRelation",
            "ProcessRelation",
        ]),
        _other => None,
    }
}
