//! Which Service a destination's `host` means.

/// A `host` of a destination or a DestinationRule, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A Kubernetes Service, however it was written: `a`, `a.ns`, `a.ns.svc`, `a.ns.svc.cluster.local`.
    Service {
        /// Name of the Service.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// All hosts that end so; written `*.example.com`, kept as `.example.com`, and `*` is kept as the empty text.
    Wildcard(String),
    /// Any other host, such as that of a ServiceEntry.
    Other(String),
}

impl Host {
    /// Reads a host as written in an object of `namespace`, to which short names are relative. Host names have no case.
    ///
    /// A name of two parts is taken for `name.namespace`: a ServiceEntry's `example.com` reads so too, and is still equal
    /// only to itself.
    #[must_use]
    pub fn read(host: &str, namespace: &str) -> Option<Host> {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        if let Some(suffix) = host.strip_prefix('*') {
            return Some(Host::Wildcard(suffix.to_owned()));
        }
        let labels: Vec<&str> = host.split('.').collect();
        if labels.iter().any(|label| label.is_empty()) {
            return None;
        }
        let service =
            |name: &str, namespace: &str| Host::Service { name: name.to_owned(), namespace: namespace.to_owned() };
        Some(match labels.as_slice() {
            [name] => service(name, namespace),
            [name, namespace] | [name, namespace, "svc", ..] => service(name, namespace),
            _ => Host::Other(host),
        })
    }

    /// Whether this is a Service of that name and namespace.
    #[must_use]
    pub fn is_service(&self, name: &str, namespace: &str) -> bool {
        match self {
            Host::Service { name: own, namespace: own_namespace } => own == name && own_namespace == namespace,
            Host::Wildcard(_) | Host::Other(_) => false,
        }
    }

    /// Whether a rule for this host applies to `destination`.
    #[must_use]
    pub fn covers(&self, destination: &Host) -> bool {
        match self {
            Host::Service { .. } | Host::Other(_) => self == destination,
            Host::Wildcard(suffix) => destination.full().ends_with(suffix.as_str()),
        }
    }

    fn full(&self) -> String {
        match self {
            Host::Service { name, namespace } => format!("{name}.{namespace}.svc.cluster.local"),
            Host::Wildcard(host) | Host::Other(host) => host.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, host: &str, is_reviews: bool) {
        let got = Host::read(host, "bookinfo").is_some_and(|host| host.is_service("reviews", "bookinfo"));
        assert_eq!(got, is_reviews, "{case}");
    }

    #[test]
    fn a_service_is_known_by_all_of_its_names() {
        check("a short name is relative to the object", "reviews", true);
        check("name and namespace", "reviews.bookinfo", true);
        check("name, namespace and svc", "reviews.bookinfo.svc", true);
        check("the full name", "reviews.bookinfo.svc.cluster.local", true);
        check("the full name in a cluster of another domain", "reviews.bookinfo.svc.corp.example", true);
        check("a final dot and capitals mean nothing", "Reviews.bookinfo.svc.cluster.local.", true);
        check("the same name in another namespace is another Service", "reviews.staging.svc.cluster.local", false);
        check("an outside host that begins alike", "reviews.example.com", false);
        check("another Service", "ratings", false);
        check("an empty host", "", false);
        check("a host that begins with a dot", ".reviews", false);
    }

    #[test]
    fn a_wildcard_covers_the_hosts_that_end_so() {
        let read = |host| Host::read(host, "bookinfo").expect("a host");
        assert!(read("*.bookinfo.svc.cluster.local").covers(&read("reviews")));
        assert!(!read("*.staging.svc.cluster.local").covers(&read("reviews")));
        assert!(read("*").covers(&read("api.example.com")));
        assert!(read("api.example.com").covers(&read("API.example.com")));
        assert!(!read("reviews").covers(&read("ratings")));
    }
}
