//! What the suites are written with: a cluster seen through its API, a release of Serin, load, and a record of what happened.

mod case;
mod cluster;
mod kill;
mod load;
mod manifests;
mod place;
mod release;
mod report;
mod rollout;
mod shares;
pub(crate) mod skywalking;
mod sweep;
mod timeline;
mod wait;

pub(crate) use case::{Case, Pace, Stage, kept, run};
pub(crate) use cluster::{Cluster, text, yaml};
pub(crate) use load::{Load, LoadSpec, agrees};
pub(crate) use manifests::Manifests;
pub(crate) use place::Place;
pub(crate) use release::{IMAGE, Release, repository};
pub(crate) use rollout::{ISTIO, Seen, Subject, is_serving, weights};
pub(crate) use timeline::{Entry, Timeline};
pub(crate) use wait::{hold, until};
