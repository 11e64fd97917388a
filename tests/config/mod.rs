//! Each setting has the effect that its documentation says.

mod deadlines;
mod refused;
mod room;
mod sizes;
mod threading;
mod workers;
