//! [`Fingerprints`]: the declaration of a side's message types, by which both sides notice that a
//! code stands for different types.

use std::fmt::Write as _;

use crate::error::TypeError;
use crate::limits::{MAX_DECLARED_TYPES, MAX_DIFFERING_CODES};
use crate::registry::Registry;
use crate::types::MessageType;

/// Is the number of digits of a code.
const CODE_DIGITS: usize = 4;

/// Is the number of digits of a fingerprint.
const PRINT_DIGITS: usize = 8;

/// Fingerprints declare the message types of one side in its hello: each code with the CRC-32 of
/// its type's name. The names themselves are not sent, so a connecting peer does not learn them.
///
/// Two sides agree if no common code has different fingerprints. A code that only one side has is
/// not a difference, because new types reach one side first.
///
/// ```
/// use veltix::{MessageType, Registry};
/// use veltix_core::Fingerprints;
///
/// let mut ours = Registry::new();
/// ours.register(MessageType::new(200, "chat", ""))?;
/// let mut theirs = Registry::new();
/// theirs.register(MessageType::new(200, "order", ""))?;
/// let (ours, theirs) = (Fingerprints::of(&ours)?, Fingerprints::of(&theirs)?);
/// assert_eq!(ours.differing(&theirs), [200]);
/// # Ok::<(), veltix::TypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// Lists each code once, in ascending order.
    prints: Vec<(u16, u32)>,
}

impl Fingerprints {
    /// Computes the fingerprints of these types.
    ///
    /// # Errors
    /// Returns [`TypeError::TooManyDeclared`] for more than [`MAX_DECLARED_TYPES`] types, because a
    /// hello has no room for more.
    pub fn of(registry: &Registry) -> Result<Self, TypeError> {
        let prints: Vec<_> = registry.iter().map(|each| (each.code(), print_of(each))).collect();
        match prints.len() {
            count if count > MAX_DECLARED_TYPES => {
                Err(TypeError::TooManyDeclared { count, limit: MAX_DECLARED_TYPES })
            }
            _ => Ok(Self { prints }),
        }
    }

    /// Returns the codes that stand for different types on the two sides: the lowest
    /// [`MAX_DIFFERING_CODES`] of them.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<u16> {
        let differs = |&(code, print): &(u16, u32)| {
            let at = other.prints.binary_search_by_key(&code, |&(code, _)| code).ok()?;
            (other.prints[at].1 != print).then_some(code)
        };
        self.prints.iter().filter_map(differs).take(MAX_DIFFERING_CODES).collect()
    }

    /// Returns a number that is equal for equal declarations, by which the nodes of a cluster notice different
    /// ones.
    #[cfg(feature = "cluster")]
    #[must_use]
    pub fn digest(&self) -> u64 {
        crate::tags::TagHash::of_name(&self.to_text()).value()
    }

    /// Returns the form on the wire: for each type, four hexadecimal digits of the code, then eight
    /// of its fingerprint.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.prints.len() * (CODE_DIGITS + PRINT_DIGITS));
        for (code, print) in &self.prints {
            // Writing to a string does not fail.
            let _ = write!(text, "{code:04x}{print:08x}");
        }
        text
    }

    /// Reads the form on the wire. Returns `None` for text in any other form.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !text.bytes().all(is_digit) {
            return None;
        }
        let mut prints = Vec::with_capacity(text.len() / (CODE_DIGITS + PRINT_DIGITS));
        let mut rest = text;
        while !rest.is_empty() {
            let (code, behind) = rest.split_at_checked(CODE_DIGITS)?;
            let (print, behind) = behind.split_at_checked(PRINT_DIGITS)?;
            prints
                .push((u16::from_str_radix(code, 16).ok()?, u32::from_str_radix(print, 16).ok()?));
            rest = behind;
        }
        let ascends = prints.is_sorted_by(|(before, _), (after, _)| before < after);
        ascends.then_some(Self { prints })
    }
}

/// Computes the fingerprint of a type. A CRC is enough to distinguish names that nobody chose in
/// order to collide, and the protocol already uses it.
fn print_of(message_type: MessageType) -> u32 {
    crc32fast::hash(message_type.name().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprints(types: &[(u16, &'static str)]) -> Fingerprints {
        let mut registry = Registry::new();
        for &(code, name) in types {
            registry.register(MessageType::new(code, name, "")).unwrap();
        }
        Fingerprints::of(&registry).unwrap()
    }

    #[test]
    fn only_codes_that_both_have_can_differ() {
        let ours = fingerprints(&[(200, "chat"), (201, "typing"), (500, "ours")]);
        let theirs = fingerprints(&[(200, "chat"), (201, "order"), (501, "theirs")]);
        assert_eq!(ours.differing(&theirs), [201]);
        assert_eq!(theirs.differing(&ours), [201]);
        assert!(ours.differing(&ours).is_empty());
        assert!(ours.differing(&fingerprints(&[])).is_empty());
    }

    #[test]
    fn no_more_codes_are_told_than_a_line_holds() {
        let many = |name| {
            let types: Vec<_> = (300..400).map(|code| (code, name)).collect();
            fingerprints(&types)
        };
        let differing = many("a").differing(&many("b"));
        assert_eq!(differing.len(), MAX_DIFFERING_CODES);
        assert_eq!(differing[0], 300);
    }

    /// The text is that of the example in PROTOCOL.md.
    #[test]
    fn what_travels_is_read_back() {
        let ours = fingerprints(&[(65535, "last"), (200, "chat")]);
        let text = ours.to_text();
        assert_eq!(text, "00c8659df2aaffff4adba9a0");
        assert_eq!(Fingerprints::read(&text), Some(ours));
        assert_eq!(Fingerprints::read(""), Some(fingerprints(&[])));
    }

    #[test]
    fn what_has_another_form_says_nothing() {
        for odd in [
            "00c8",
            "00c8659df2a",
            "00C8659DF2AA",
            "+0c8659df2aa",
            "ä0c8659df2aa",
            "00c8659df2a400c8659df2a4",
            "00c92c11b6d400c8659df2a4",
        ] {
            assert_eq!(Fingerprints::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let registry = |count| {
            let mut registry = Registry::new();
            for _ in 0..count {
                registry.allocate("x").unwrap();
            }
            registry
        };
        let all = Fingerprints::of(&registry(MAX_DECLARED_TYPES)).unwrap();
        assert_eq!(Fingerprints::read(&all.to_text()), Some(all));
        let count = MAX_DECLARED_TYPES + 1;
        let error = Fingerprints::of(&registry(count)).unwrap_err();
        assert_eq!(error, TypeError::TooManyDeclared { count, limit: MAX_DECLARED_TYPES });
    }
}
