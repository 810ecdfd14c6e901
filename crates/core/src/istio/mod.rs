//! Istio's objects as pure edits of raw JSON: only our weights and our label change.
