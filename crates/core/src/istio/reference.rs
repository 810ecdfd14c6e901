//! How a Rollout names a VirtualService: `name`, or `name.namespace` for one of another namespace.

use crate::rollout::observed::VirtualServiceKey;

/// Reads the name of a VirtualService as written in a Rollout of `namespace`. A trailing `.svc` or `.svc.cluster.local`
/// is accepted and means nothing.
///
/// # Errors
/// A sentence that says what a name looks like.
pub fn virtual_service(reference: &str, namespace: &str) -> Result<VirtualServiceKey, String> {
    let short = reference.strip_suffix(".cluster.local").unwrap_or(reference);
    let short = short.strip_suffix(".svc").unwrap_or(short);
    let (name, namespace) = short.rsplit_once('.').unwrap_or((short, namespace));
    if [name, namespace].iter().any(|part| part.split('.').any(|label| !is_label(label))) {
        return Err("must be the name of a VirtualService, or name.namespace for one of another namespace".to_owned());
    }
    Ok(VirtualServiceKey { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, reference: &str, key: Option<(&str, &str)>) {
        let got = virtual_service(reference, "bookinfo").ok().map(|key| (key.name, key.namespace));
        assert_eq!(got, key.map(|(name, namespace)| (name.to_owned(), namespace.to_owned())), "{case}");
    }

    #[test]
    fn references_are_read() {
        check("a name alone is in the Rollout's namespace", "reviews", Some(("reviews", "bookinfo")));
        check("a name with a namespace", "reviews.edge", Some(("reviews", "edge")));
        check("svc is not a namespace", "reviews.edge.svc", Some(("reviews", "edge")));
        check("the cluster's domain is dropped", "reviews.edge.svc.cluster.local", Some(("reviews", "edge")));
        check("the domain without svc", "reviews.edge.cluster.local", Some(("reviews", "edge")));
        check("a name with a dot", "reviews.v1.edge", Some(("reviews.v1", "edge")));
        check("nothing", "", None);
        check("a namespace without a name", ".edge", None);
        check("a name with an empty namespace", "reviews.", None);
        check("a name that cannot be one", "Reviews/x", None);
    }
}
