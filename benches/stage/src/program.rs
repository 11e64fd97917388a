//! Programs of the system.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Returns the path of a program. Directories for administrators are searched too.
#[must_use]
pub fn find(name: &str) -> Option<String> {
    find_in(name, &std::env::var_os("PATH").unwrap_or_default())
}

/// Returns the path of a program in these directories, which have the form of the variable `PATH`.
#[must_use]
pub fn find_in(name: &str, path: &OsStr) -> Option<String> {
    let mut places: Vec<_> = std::env::split_paths(path).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let mut files = places.iter().map(|place| place.join(name));
    files.find(|file| is_program(file))?.into_os_string().into_string().ok()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
