//! Each setting has its documented effect.

mod deadlines;
mod refused;
mod room;
mod sizes;
mod threading;
mod workers;
