//! The seed of a random test, which another run can be given.

/// What `VELTIX_SEED` says, or a new one. It is printed, which is seen when the test fails.
#[allow(clippy::print_stdout, reason = "a test shows it when it fails")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("VELTIX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("VELTIX_SEED={seed}");
    seed
}
