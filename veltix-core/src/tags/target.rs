//! Targets, which select the peers that a message goes to.

use std::fmt;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};
use std::sync::Arc;

use super::expression::Expression;
use super::number::{Comparison, TagNumber};
use super::peer_id::PeerId;
use super::value::TagValue;
use crate::error::TargetError;

/// A target selects the peers that a message goes to: [`all`] of them, [`nobody`], the peers with a
/// [`tag`], the named [`peers`], or a combination of targets with `&`, `|` and `!`.
///
/// A target is a value: it can be stored, cloned (cheaply), used by reference, and printed: `Display` writes the
/// text form that [`FromStr`](std::str::FromStr) reads, and `Debug` writes Rust source. It does not know which
/// peers exist. Two targets are equal if they are written in the same way.
///
/// ```
/// use veltix::tag;
///
/// let guests = !tag("account") | tag("role").is("guest");
/// let audible = tag("room").any_of(["lobby", "hall"]) & tag("level").at_least(5) & !tag("muted");
/// assert_eq!(
///     (guests & audible).to_string(),
///     "(!account | role = guest) & room in (hall, lobby) & level >= 5 & !muted",
/// );
/// ```
///
/// # Limits
/// `a & b & c` is one level, whatever the number of its terms. A target has at most
/// [`TARGET_DEPTH`](crate::limits::TARGET_DEPTH) levels and
/// [`TARGET_TERMS`](crate::limits::TARGET_TERMS) names, values and peers. A combination over a
/// limit becomes an invalid target, and so does every target that is built from it. Each use of an
/// invalid target returns a [`TargetError`], and [`check`](Target::check) returns it beforehand.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(pub(super) Expression);

impl Target {
    /// Returns whether the target matches every peer, so that no index is needed to find them.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self.0, Expression::All)
    }

    /// Checks whether the target can be used.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target went over a limit when it was built.
    pub const fn check(&self) -> Result<(), TargetError> {
        match self.0 {
            Expression::Invalid(error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Creates the target that matches every peer.
#[must_use]
pub const fn all() -> Target {
    Target(Expression::All)
}

/// Creates the target that matches no peer. A target that is built with `|` in a loop begins with
/// it.
///
/// ```
/// use veltix::{nobody, tag};
///
/// let mut rooms = nobody();
/// for room in ["lobby", "hall"] {
///     rooms |= tag("room").is(room);
/// }
/// assert_eq!(rooms.to_string(), "room = lobby | room = hall");
/// ```
#[must_use]
pub const fn nobody() -> Target {
    Target(Expression::Nobody)
}

/// Creates the target that matches these peers, given by their ids or their handles. A peer that is
/// not connected is ignored.
///
/// ```
/// use veltix::{PeerId, all, peers};
///
/// let (ada, bob) = (PeerId::new(1), PeerId::new(2));
/// let others = all() & !peers([ada, bob]);
/// ```
#[must_use]
pub fn peers(peers: impl IntoIterator<Item: Into<PeerId>>) -> Target {
    Target(Expression::peers(peers.into_iter().map(Into::into)))
}

/// Creates the target that matches every peer with a tag of this name, with any value.
/// [`TagTarget::is`] and its other methods narrow it to some values.
///
/// ```
/// use veltix::{Target, tag};
///
/// let anywhere = Target::from(tag("room"));
/// let lobby = tag("room").is("lobby");
/// assert_eq!(lobby.to_string(), "room = lobby");
/// ```
pub fn tag(name: impl AsRef<str>) -> TagTarget {
    TagTarget { name: name.as_ref().into() }
}

/// A tag target matches the peers with one tag. [`tag`] creates it. It is a complete target, and
/// its methods return narrower ones.
///
/// Each of them matches a set by any of its values, on its own: a peer whose set has the values 1
/// and 9 matches `tag("n").above(5)`, `tag("n").below(5)`, and both joined by `&`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TagTarget {
    name: Arc<str>,
}

impl TagTarget {
    /// Returns the target that matches every peer whose tag of this name has this value, or whose
    /// set of this name contains it. The value of a bare tag is `()`.
    #[must_use]
    pub fn is(self, value: impl Into<TagValue>) -> Target {
        Target(Expression::Is(self.name, value.into().into()))
    }

    /// Returns the target that matches every peer whose tag of this name has one of these values, or
    /// whose set of this name contains one of them.
    #[must_use]
    pub fn any_of(self, values: impl IntoIterator<Item: Into<TagValue>>) -> Target {
        Target(Expression::any_of(self.name, values.into_iter().map(Into::into)))
    }

    /// Returns the target that matches every peer whose tag of this name is a number that is at
    /// least `number`.
    #[must_use]
    pub fn at_least(self, number: impl Into<TagNumber>) -> Target {
        self.compare(Comparison::AtLeast, number.into())
    }

    /// Returns the target that matches every peer whose tag of this name is a number that is at
    /// most `number`.
    #[must_use]
    pub fn at_most(self, number: impl Into<TagNumber>) -> Target {
        self.compare(Comparison::AtMost, number.into())
    }

    /// Returns the target that matches every peer whose tag of this name is a number above
    /// `number`.
    #[must_use]
    pub fn above(self, number: impl Into<TagNumber>) -> Target {
        self.compare(Comparison::Above, number.into())
    }

    /// Returns the target that matches every peer whose tag of this name is a number below
    /// `number`.
    #[must_use]
    pub fn below(self, number: impl Into<TagNumber>) -> Target {
        self.compare(Comparison::Below, number.into())
    }

    fn compare(self, comparison: Comparison, number: TagNumber) -> Target {
        Target(Expression::Compare(self.name, comparison, number))
    }
}

impl From<TagTarget> for Target {
    fn from(tag: TagTarget) -> Self {
        Self(Expression::Has(tag.name))
    }
}

impl From<&TagTarget> for Target {
    fn from(tag: &TagTarget) -> Self {
        tag.clone().into()
    }
}

impl From<&Self> for Target {
    fn from(target: &Self) -> Self {
        target.clone()
    }
}

macro_rules! operators {
    ($($operand:ty)*) => {
        $(
            impl<T: Into<Target>> BitAnd<T> for $operand {
                type Output = Target;

                /// Returns the target that matches the peers that both targets match.
                fn bitand(self, other: T) -> Target {
                    Target(Target::from(self).0.and(other.into().0))
                }
            }

            impl<T: Into<Target>> BitOr<T> for $operand {
                type Output = Target;

                /// Returns the target that matches the peers that at least one of the targets
                /// matches.
                fn bitor(self, other: T) -> Target {
                    Target(Target::from(self).0.or(other.into().0))
                }
            }

            impl Not for $operand {
                type Output = Target;

                /// Returns the target that matches the peers that this target does not match.
                fn not(self) -> Target {
                    Target(Target::from(self).0.not())
                }
            }
        )*
    };
}

operators!(Target &Target TagTarget &TagTarget);

impl<T: Into<Self>> BitAndAssign<T> for Target {
    fn bitand_assign(&mut self, other: T) {
        *self = std::mem::replace(self, all()) & other;
    }
}

impl<T: Into<Self>> BitOrAssign<T> for Target {
    fn bitor_assign(&mut self, other: T) {
        *self = std::mem::replace(self, nobody()) | other;
    }
}

impl fmt::Debug for Target {
    /// Writes the target as Rust source, with parentheses only if they change the meaning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{TARGET_DEPTH, TARGET_TERMS};

    #[test]
    fn targets_print_as_source() {
        let ids = || [2, 1, 2].map(PeerId::new);
        let (a, b, c) = (tag("a"), tag("b"), tag("c"));
        for (target, expected) in [
            (all(), "all()"),
            (tag("room").into(), r#"tag("room")"#),
            (tag("room").is("lobby"), r#"tag("room").is("lobby")"#),
            (tag("level").is(3), r#"tag("level").is(3)"#),
            (tag("a\n").is(()), r#"tag("a\n").is(())"#),
            (tag("a").any_of(["y", "x", "y"]), r#"tag("a").any_of(["x", "y"])"#),
            (tag("a").any_of([true; 0]), r#"tag("a").any_of([])"#),
            (tag("a").at_least(5), r#"tag("a").at_least(5)"#),
            (tag("a").at_most(-1), r#"tag("a").at_most(-1)"#),
            (tag("a").above(0.5), r#"tag("a").above(0.5)"#),
            (tag("a").below(3_u8), r#"tag("a").below(3)"#),
            (peers(ids()), "peers([PeerId::new(1), PeerId::new(2)])"),
            (!&a, r#"!tag("a")"#),
            (!!a.clone(), r#"tag("a")"#),
            (&a & &b & &c, r#"tag("a") & tag("b") & tag("c")"#),
            (&a & (&b & &c), r#"tag("a") & tag("b") & tag("c")"#),
            (&a | (&b | &c), r#"tag("a") | tag("b") | tag("c")"#),
            (
                (&a | &b) | (&b | (&c | &a)),
                r#"tag("a") | tag("b") | tag("b") | tag("c") | tag("a")"#,
            ),
            (&a | &b & &c, r#"tag("a") | tag("b") & tag("c")"#),
            ((&a | &b) & &c, r#"(tag("a") | tag("b")) & tag("c")"#),
            (!(&a | &b) & &c, r#"!(tag("a") | tag("b")) & tag("c")"#),
            (!(&a & &b) | !&c, r#"!(tag("a") & tag("b")) | !tag("c")"#),
            (all() & &a, r#"tag("a")"#),
            (&a | nobody(), r#"tag("a")"#),
            (&a & nobody(), "nobody()"),
            (all() | &a, "all()"),
            (!all(), "nobody()"),
        ] {
            assert_eq!(format!("{target:?}"), expected);
        }
    }

    #[test]
    fn a_target_can_be_put_together_from_anything() {
        let (a, b) = (tag("a"), tag("b"));
        let expected = a.clone() & b.clone();
        let (x, y) = (Target::from(&a), Target::from(&b));
        for target in [&a & &b, &a & y.clone(), x.clone() & &b, &x & &y, x.clone() & b.clone()] {
            assert_eq!(target, expected);
        }
        let mut grown = x.clone();
        grown &= &b;
        assert_eq!(grown, expected);
        assert_ne!(&y & &x, expected, "equal means written the same way");
        let mut grown = nobody();
        grown |= a;
        grown |= &y;
        assert_eq!(grown, x | y);
    }

    #[test]
    fn what_is_too_deep_is_refused_and_so_is_what_is_made_of_it() {
        let error = Err(TargetError::TooDeep { limit: TARGET_DEPTH });
        let mut target: Target = tag("a").into();
        let mut levels = 1;
        while target.check().is_ok() {
            target = if levels % 2 == 0 { tag("a") & target } else { tag("b") | target };
            levels += 1;
        }
        assert_eq!((target.check(), levels), (error, TARGET_DEPTH + 1));
        for _ in 0..1_000_000 {
            target = !(tag("a") & !target);
        }
        assert_eq!((target.check(), (tag("a") | &target).check()), (error, error));
        assert!(target.to_string().contains("nest"), "{target}");
        let flat = (0..1_000).fold(all(), |target, _| target & !tag("a"));
        assert_eq!(flat.check(), Ok(()), "no deeper than its terms");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let error = Err(TargetError::TooLarge { limit: TARGET_TERMS });
        let ids = |count: usize| peers((0..count as u64).map(PeerId::new));
        assert_eq!(ids(TARGET_TERMS).check(), Ok(()));
        assert_eq!(ids(TARGET_TERMS + 1).check(), error);
        assert_eq!(tag("a").any_of(0..=TARGET_TERMS as i64).check(), error);
        assert_eq!(tag("a").any_of((0..).map(i64::from)).check(), error, "and without end");
        assert_eq!((ids(TARGET_TERMS) & tag("a")).check(), error);
        assert_eq!((!ids(TARGET_TERMS - 1) | tag("a")).check(), Ok(()));
        let mut target = nobody();
        let comparisons = |count: i64| (0..count).fold(nobody(), |all, n| all | tag("a").above(n));
        assert_eq!(comparisons(64).check(), Ok(()));
        assert_eq!(comparisons(65).check(), error);
        for _ in 0..TARGET_TERMS {
            target |= tag("a");
        }
        assert_eq!((target.check(), (target | tag("a")).check()), (Ok(()), error));
        // Growing at the other end takes no longer: each term is moved a few times, not thousands
        // of times.
        let mut target = nobody();
        for _ in 0..TARGET_TERMS {
            target = tag("a") | target;
        }
        assert_eq!((target.check(), (tag("a") | target).check()), (Ok(()), error));
    }
}
