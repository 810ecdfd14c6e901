//! Chores of this repository, as commands and as tests.
//!
//! ```text
//!   serin_api::crds() ──► codegen ──► crds/  charts/serin/crds/  docs/reference/api.md
//!   charts/serin ─(helm)────┘  └────► charts/serin/install.yaml
//!                              │ compared
//!   every file ─────────► tidy ┴────► violations
//! ```

pub mod codegen;
pub mod repository;
pub mod tidy;
pub mod violation;
