//! The cluster's own authority, one certificate per program, and a kubeconfig for each that is a client.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use serde_json::json;

use super::digest::{Digest, Stamp};
use super::layout::{API_PORT, API_SERVICE_ADDRESS, Layout, NODE_ADDRESS, NODE_NAME};

/// Who a certificate is for: file name, common name, group, DNS names, addresses.
struct Subject {
    file: &'static str,
    name: &'static str,
    group: Option<&'static str>,
    hosts: &'static [&'static str],
    addresses: &'static [&'static str],
}

const ADMINISTRATORS: Option<&str> = Some("system:masters");

const SUBJECTS: [Subject; 8] = [
    Subject {
        hosts: &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
        ],
        addresses: &["127.0.0.1", NODE_ADDRESS, API_SERVICE_ADDRESS],
        ..client("apiserver", "kube-apiserver", None)
    },
    client("admin", "admin", ADMINISTRATORS),
    client("apiserver-kubelet", "apiserver-kubelet", ADMINISTRATORS),
    client("front-proxy", "front-proxy-client", None),
    client("kube-controller-manager", "system:kube-controller-manager", None),
    client("kube-scheduler", "system:kube-scheduler", None),
    client("kube-proxy", "system:kube-proxy", None),
    Subject {
        hosts: &[NODE_NAME],
        addresses: &[NODE_ADDRESS],
        ..client("kubelet", "system:node:node-1", Some("system:nodes"))
    },
];

const fn client(file: &'static str, name: &'static str, group: Option<&'static str>) -> Subject {
    Subject { file, name, group, hosts: &[], addresses: &[] }
}

/// Programs inside the namespaces that need a kubeconfig, which are files of theirs.
const INNER_CLIENTS: [&str; 5] = ["admin", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"];

/// Whether the keys on disk are those that this program would make.
#[must_use]
pub fn is_current(layout: &Layout) -> bool {
    stamp(layout).is_current()
}

/// Makes all keys, certificates and kubeconfigs anew. State that was made with earlier ones is worthless then.
///
/// # Errors
/// If a file cannot be written.
pub fn make(layout: &Layout) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut authority = parameters("serin-e2e", None, &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let certificate = authority.self_signed(&key)?.pem();
    write(&layout.pki("ca.crt"), &certificate)?;
    write(&layout.pki("ca.key"), &key.serialize_pem())?;

    let issuer = Issuer::new(authority, key);
    for subject in &SUBJECTS {
        issue(layout, &issuer, subject)?;
    }
    let accounts = KeyPair::generate()?;
    write(&layout.pki("service-accounts.key"), &accounts.serialize_pem())?;
    write(&layout.pki("service-accounts.pub"), &accounts.public_key_pem())?;

    for user in INNER_CLIENTS {
        write_kubeconfig(layout, &layout.inner_kubeconfig(user), user, &format!("https://{NODE_ADDRESS}:6443"))?;
    }
    write_kubeconfig(layout, &layout.kubeconfig(), "admin", &format!("https://127.0.0.1:{API_PORT}"))?;
    stamp(layout).set()
}

fn issue(layout: &Layout, issuer: &Issuer<'_, KeyPair>, subject: &Subject) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut names = Vec::new();
    for host in subject.hosts {
        names.push(SanType::DnsName((*host).try_into()?));
    }
    for address in subject.addresses {
        names.push(SanType::IpAddress(address.parse::<IpAddr>()?));
    }
    let mut wanted = parameters(subject.name, subject.group, &names)?;
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = wanted.signed_by(&key, issuer)?;
    write(&layout.pki(&format!("{}.crt", subject.file)), &certificate.pem())?;
    write(&layout.pki(&format!("{}.key", subject.file)), &key.serialize_pem())
}

fn parameters(name: &str, group: Option<&str>, names: &[SanType]) -> Result<CertificateParams> {
    let mut wanted = CertificateParams::new(Vec::new())?;
    wanted.subject_alt_names = names.to_vec();
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(group) = group {
        wanted.distinguished_name.push(DnType::OrganizationName, group);
    }
    wanted.distinguished_name.push(DnType::CommonName, name);
    Ok(wanted)
}

/// Writes a kubeconfig; it is JSON, which is YAML as well.
fn write_kubeconfig(layout: &Layout, file: &Path, user: &str, server: &str) -> Result<()> {
    let read = |name: &str| {
        let path = layout.pki(name);
        fs::read(&path)
            .map(|bytes| STANDARD.encode(bytes))
            .with_context(|| format!("failed to read {}", path.display()))
    };
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "serin-e2e", "cluster": {
            "server": server,
            "certificate-authority-data": read("ca.crt")?,
        }}],
        "users": [{ "name": user, "user": {
            "client-certificate-data": read(&format!("{user}.crt"))?,
            "client-key-data": read(&format!("{user}.key"))?,
        }}],
        "contexts": [{ "name": "serin-e2e", "context": { "cluster": "serin-e2e", "user": user }}],
        "current-context": "serin-e2e",
    });
    write(file, &format!("{kubeconfig:#}\n"))
}

/// Writes a file that only its owner can read.
fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

fn stamp(layout: &Layout) -> Stamp {
    let mut digest = Digest::new().with("1").with(API_PORT.to_string());
    for subject in &SUBJECTS {
        digest = digest.with(subject.file).with(subject.name).with(subject.group.unwrap_or_default());
        digest = digest.with(subject.hosts.join(",")).with(subject.addresses.join(","));
    }
    Stamp::new(layout.kubeconfig(), digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    #[test]
    fn keys_are_made_once_and_kubeconfigs_name_both_addresses() {
        let scratch = Scratch::new("pki");
        let layout = Layout::below(scratch.path("home"));
        layout.make().expect("folders");
        assert!(!is_current(&layout));
        make(&layout).expect("keys");
        assert!(is_current(&layout));
        let outer = fs::read_to_string(layout.kubeconfig()).expect("a kubeconfig");
        let inner = fs::read_to_string(layout.inner_kubeconfig("kubelet")).expect("a kubeconfig");
        assert!(outer.contains("https://127.0.0.1:26443"), "{outer}");
        assert!(inner.contains("https://10.198.0.1:6443"), "{inner}");
    }
}
