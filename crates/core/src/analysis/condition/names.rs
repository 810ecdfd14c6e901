//! The names that an expression may call.

/// Functions with a predicate: name, arguments required, arguments at most.
const PREDICATES: [(&str, usize, usize); 15] = [
    ("all", 2, 2),
    ("none", 2, 2),
    ("any", 2, 2),
    ("one", 2, 2),
    ("filter", 2, 2),
    ("map", 2, 2),
    ("count", 1, 2),
    ("sum", 1, 2),
    ("find", 2, 2),
    ("findIndex", 2, 2),
    ("findLast", 2, 2),
    ("findLastIndex", 2, 2),
    ("groupBy", 2, 2),
    ("sortBy", 2, 3),
    ("reduce", 2, 3),
];

/// Functions without a predicate.
const FUNCTIONS: [&str; 56] = [
    "len",
    "type",
    "abs",
    "ceil",
    "floor",
    "round",
    "int",
    "float",
    "string",
    "trim",
    "trimPrefix",
    "trimSuffix",
    "upper",
    "lower",
    "split",
    "splitAfter",
    "replace",
    "repeat",
    "join",
    "indexOf",
    "lastIndexOf",
    "hasPrefix",
    "hasSuffix",
    "max",
    "min",
    "mean",
    "median",
    "toJSON",
    "fromJSON",
    "toBase64",
    "fromBase64",
    "now",
    "duration",
    "date",
    "timezone",
    "first",
    "last",
    "get",
    "take",
    "keys",
    "values",
    "toPairs",
    "fromPairs",
    "reverse",
    "uniq",
    "concat",
    "flatten",
    "sort",
    "bitand",
    "bitor",
    "bitxor",
    "bitnand",
    "bitshl",
    "bitshr",
    "bitushr",
    "bitnot",
];

/// Names that the environment defines; all but `result` are functions.
const ENVIRONMENT: [&str; 7] = ["result", "asInt", "asFloat", "isNaN", "isInf", "isNil", "default"];

/// The table's own copy of `name` if it is a builtin without a predicate.
pub(super) fn builtin(name: &str) -> Option<&'static str> {
    FUNCTIONS.into_iter().find(|known| *known == name)
}

/// The table's own copy of `name`, and its least and largest number of arguments, if it takes a predicate.
pub(super) fn predicate_arguments(name: &str) -> Option<(&'static str, (usize, usize))> {
    PREDICATES.into_iter().find(|(known, _, _)| *known == name).map(|(known, least, most)| (known, (least, most)))
}

/// True for names that a variable must not take.
pub(super) fn is_reserved(name: &str) -> bool {
    builtin(name).is_some() || predicate_arguments(name).is_some() || ENVIRONMENT.contains(&name)
}

/// True for functions by which a condition says that it expects missing or undefined values.
pub(super) fn watches_absence(name: &str) -> bool {
    matches!(name, "len" | "isNil" | "isNaN" | "isInf" | "default")
}
