//! [`BufferSize`].

use veltix_core::limits;

/// What one read may take in, in the sizes of the Python package.
///
/// The buffer is lent while bytes come and given back, so a large one costs an idle connection
/// nothing. A begun frame that is larger is read in growing steps, whatever this says.
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
    /// So many bytes; at least 64 are used.
    Bytes(usize),
}

impl BufferSize {
    /// The size in bytes.
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
