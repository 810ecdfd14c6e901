//! Ping-pong: with a promotion the two Services swap their roles, and no traffic has to move.

use crate::rollout::parse::{Canary, Spec};

use super::scene::Scene;
use super::state::State;

/// One of the two Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Ping,
    Pong,
}

impl Turn {
    /// Reads the word of the status; anything else counts as absent.
    pub(crate) fn read(word: &str) -> Option<Self> {
        match word {
            "ping" => Some(Turn::Ping),
            "pong" => Some(Turn::Pong),
            _ => None,
        }
    }

    /// The word of the status.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Turn::Ping => "ping",
            Turn::Pong => "pong",
        }
    }
}

/// Makes the Service of the canary the stable one, as the revision behind it is.
pub(crate) fn take_turns(scene: &Scene<'_>, state: &mut State) {
    if scene.spec.canary.swaps_services {
        state.stable_turn = Some(match state.stable_turn {
            Some(Turn::Ping) => Turn::Pong,
            Some(Turn::Pong) | None => Turn::Ping,
        });
    }
}

/// The spec in which the Services have the roles that they have after a promotion; `None` if there was none.
pub(crate) fn swapped(scene: &Scene<'_>, state: &State) -> Option<Spec> {
    let status = scene.observed.rollout.status.as_ref();
    let before = status.and_then(|status| status.canary.stable_ping_pong.as_deref()).and_then(Turn::read);
    if !scene.spec.canary.swaps_services || before == state.stable_turn {
        return None;
    }
    let Canary { canary_service, stable_service, .. } = scene.spec.canary.clone();
    let canary = Canary { canary_service: stable_service, stable_service: canary_service, ..scene.spec.canary.clone() };
    Some(Spec { canary, ..scene.spec.clone() })
}
