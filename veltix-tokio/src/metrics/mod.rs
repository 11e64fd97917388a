//! Metrics: the counters that no peer and no table has, and the snapshot that a reader receives.
//!
//! Nothing is pushed to a reader, and no timer runs. A reader asks for a [`Metrics`] snapshot, which sums what
//! the peers, the tables and the meters have counted until then.

mod buckets;
mod distribution;
mod family;
mod histogram;
mod meters;
mod type_names;

pub use buckets::{Buckets, Unit};
pub use distribution::Distribution;
pub(crate) use family::Families;
pub use family::{Family, Metrics, Series, Value};
pub(crate) use histogram::Histogram;
pub(crate) use meters::{CLOSE_REASONS, HANDSHAKE_FAILURES, Meters};
pub(crate) use type_names::TypeNames;
