//! What a SkyWalking server says about itself: its version and its time zone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serin_core::analysis::sample::Outcome;

use super::endpoint::Endpoint;
use super::window::parse_zone;
use crate::reply::wrong;

/// A server as of some minutes ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Major and minor number.
    version: (u32, u32),
    /// The version as the server writes it.
    pub(super) version_text: String,
    /// The time zone in which the server reads times.
    pub(super) zone: FixedOffset,
}

impl Server {
    /// Whether the server can mark values as empty (`isEmptyValue`, since 9.5.0).
    pub(super) fn tells_empty(&self) -> bool {
        self.version >= (9, 5)
    }

    /// How many minutes a query must be about. 9.2.0 refuses a series whose start is its end, with the words for one
    /// that is too long; 9.6.0 takes it. Those between were not tried.
    pub(super) fn fewest_minutes(&self) -> i64 {
        if self.version >= (9, 6) { 1 } else { 2 }
    }
}

/// The servers that were asked before, by address.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: Mutex<BTreeMap<String, (DateTime<Utc>, Server)>>,
}

/// The zone's offset changes with summer time, and the version with an upgrade.
const MINUTES_KNOWN: i64 = 10;

impl Servers {
    /// The server behind an endpoint, asked again if what is known of it is older than ten minutes.
    pub(super) async fn get(&self, endpoint: &Endpoint<'_>, now: DateTime<Utc>) -> Result<Server, Outcome> {
        if let Some(server) = self.fresh(&endpoint.address.base, now) {
            return Ok(server);
        }
        let server = ask(endpoint).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (read_at, _)| is_fresh(*read_at, now));
        known.insert(endpoint.address.base.clone(), (now, server.clone()));
        Ok(server)
    }

    /// Lets the server be asked again next time.
    pub(super) fn forget(&self, endpoint: &Endpoint<'_>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&endpoint.address.base);
    }

    fn fresh(&self, address: &str, now: DateTime<Utc>) -> Option<Server> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(address).filter(|(read_at, _)| is_fresh(*read_at, now)).map(|(_, server)| server.clone())
    }
}

fn is_fresh(read_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = now.signed_duration_since(read_at);
    TimeDelta::zero() <= age && age < TimeDelta::minutes(MINUTES_KNOWN)
}

async fn ask(endpoint: &Endpoint<'_>) -> Result<Server, Outcome> {
    let said = endpoint.ask_about_server("{ version getTimeInfo { timezone currentTimestamp } }").await?;
    let version_text = said["version"].as_str().unwrap_or_default().to_owned();
    let version = version_of(&version_text).ok_or_else(|| {
        wrong(format!("the SkyWalking server says that its version is `{version_text}`, which has no number"))
    })?;
    let zone = said["getTimeInfo"]["timezone"].as_str().unwrap_or_default();
    let zone = parse_zone(zone).ok_or_else(|| {
        wrong(format!("the SkyWalking server says that its time zone is `{zone}`, not one like +0530"))
    })?;
    Ok(Server { version, version_text, zone })
}

/// Major and minor number of texts such as `9.2.0`, `10.1.0-d28dfea` or `v9.7`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().trim_start_matches('v').split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let cases = [
            ("9.2.0", Some((9, 2))),
            ("10.1.0-d28dfea", Some((10, 1))),
            ("v9.7", Some((9, 7))),
            ("10-SNAPSHOT", Some((10, 0))),
            ("", None),
            ("latest", None),
        ];
        for (text, expected) in cases {
            assert_eq!(version_of(text), expected, "{text}");
        }
    }
}
