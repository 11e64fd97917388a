//! The examples: their applications in the test kit, and the programs as they are run.

mod auth;
mod dashboard;
mod programs;
mod rooms;
