//! Target `query`: the text form of a target, as a page or a command line sends it.

use veltix_core::{ParseTargetError, Target};

/// Reads a text. A target is written and read back equal, and its text stays on one line. An error lies within
/// the text. Nothing may panic.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Target>() {
        Ok(target) => {
            let written = target.to_string();
            assert!(!written.contains(char::is_control), "{written}");
            match written.parse::<Target>() {
                Ok(read) => assert_eq!(read, target, "{written}"),
                // Escapes and spaces make a text longer.
                Err(error) => assert!(matches!(error, ParseTargetError::TooLong { .. }), "{error}"),
            }
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.position()), "{error}");
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control), "{shown}");
        }
    }
}
