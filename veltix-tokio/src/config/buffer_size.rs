//! [`BufferSize`]: the size of the buffer of one read.

use veltix_core::limits;

/// The largest size of one read, with the names of the Python package.
///
/// A connection borrows the buffer only while bytes arrive, so a large buffer costs an idle
/// connection nothing. A begun frame that exceeds the buffer is read in growing steps, independent
/// of this setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BufferSize {
    /// 1 KiB.
    Small,
    /// 8 KiB, the Python package's default.
    Medium,
    /// 64 KiB, the default here.
    #[default]
    Large,
    /// 1 MiB.
    Huge,
    /// This number of bytes, but at least 64.
    Bytes(usize),
}

impl BufferSize {
    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => 1024,
            Self::Medium => 8 * 1024,
            Self::Large => limits::READ_BUFFER,
            Self::Huge => 1024 * 1024,
            Self::Bytes(bytes) => {
                if bytes < 64 {
                    64
                } else {
                    bytes
                }
            }
        }
    }
}
