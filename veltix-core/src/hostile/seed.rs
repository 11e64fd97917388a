//! The seed of a random test, which another run can reuse.

/// Returns the value of `VELTIX_SEED`, or a new seed. The seed is printed, and appears if the test
/// fails.
#[allow(clippy::print_stdout, reason = "a test shows it when it fails")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("VELTIX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("VELTIX_SEED={seed}");
    seed
}
