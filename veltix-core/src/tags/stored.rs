//! [`StoredValue`]: the value of a tag, as the store keeps and finds it.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, LazyLock};

use super::value::TagValue;

/// A stored value is a [`TagValue`] with a hash of its text in bytes that would be padding.
///
/// The order is that of [`TagValue`], except that texts are in the order of their hashes. So a
/// search among many texts compares integers and reads the memory of one text.
#[derive(Clone, Debug)]
pub(super) enum StoredValue {
    Unit,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text { hash: u32, text: Arc<str> },
}

impl StoredValue {
    /// Returns the value as users know it. A text shares its memory with the result.
    pub(super) fn to_value(&self) -> TagValue {
        match self {
            Self::Unit => TagValue::Unit,
            Self::Bool(value) => TagValue::Bool(*value),
            Self::Int(value) => TagValue::Int(*value),
            Self::Float(value) => TagValue::Float(*value),
            Self::Text { text, .. } => TagValue::Text(Arc::clone(text)),
        }
    }

    /// Returns the hash. It is equal for equal values.
    pub(super) fn hash(&self) -> u32 {
        match self {
            Self::Text { hash, .. } => *hash,
            value => hash(&value.to_value()),
        }
    }

    /// Returns the form in which a set keeps the value. Equal numbers share one, so that the values of a
    /// peer do not depend on the order in which others have joined: an integer if there is an equal one.
    pub(super) fn in_set(self) -> Self {
        match self {
            Self::Float(value) if value.is_nan() => Self::Float(f64::NAN),
            Self::Float(value) if Self::Int(value as i64) == self => Self::Int(value as i64),
            other => other,
        }
    }

    /// Returns the bytes that the value takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + if let Self::Text { text, .. } = self { text.len() } else { 0 }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_))
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

impl From<TagValue> for StoredValue {
    fn from(value: TagValue) -> Self {
        match value {
            TagValue::Unit => Self::Unit,
            TagValue::Bool(value) => Self::Bool(value),
            TagValue::Int(value) => Self::Int(value),
            TagValue::Float(value) => Self::Float(value),
            TagValue::Text(text) => Self::Text { hash: hash(&*text), text },
        }
    }
}

impl Ord for StoredValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text { hash, text }, Self::Text { hash: other_hash, text: other }) => {
                hash.cmp(other_hash).then_with(|| text.cmp(other))
            }
            (Self::Text { .. }, _) => Ordering::Greater,
            (_, Self::Text { .. }) => Ordering::Less,
            _ => self.to_value().cmp(&other.to_value()),
        }
    }
}

impl PartialOrd for StoredValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for StoredValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for StoredValue {}

/// Returns a hash of the value that no peer can foresee, so that no choice of values makes a table
/// of them slow.
fn hash(value: &(impl Hash + ?Sized)) -> u32 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SEED.hash_one(value) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_and_cost_no_more_memory() {
        for value in [().into(), true.into(), 1.into(), TagValue::from(1.0), "a".into()] {
            let stored = StoredValue::from(value.clone());
            assert_eq!(format!("{:?}", stored.to_value()), format!("{value:?}"));
        }
        assert_eq!(size_of::<StoredValue>(), size_of::<TagValue>());
    }

    #[test]
    fn numbers_keep_their_order_and_texts_are_greater() {
        let ascending: Vec<StoredValue> = [().into(), true.into(), TagValue::from(1), 1.5.into()]
            .into_iter()
            .chain([f64::NAN.into(), "".into()])
            .map(Into::into)
            .collect();
        assert!(ascending.is_sorted_by(|low, high| low < high), "{ascending:?}");
        assert_eq!(StoredValue::from(TagValue::from(1)), TagValue::from(1.0).into());
    }

    #[test]
    fn equal_numbers_have_one_form_in_a_set() {
        let form = |value: TagValue| format!("{:?}", StoredValue::from(value).in_set().to_value());
        for (value, expected) in [
            (1.0.into(), "Int(1)"),
            ((-0.0).into(), "Int(0)"),
            (0.5.into(), "Float(0.5)"),
            (TagValue::from(-9_223_372_036_854_775_808.0), "Int(-9223372036854775808)"),
            (TagValue::from(9_223_372_036_854_775_808.0), "Float(9.223372036854776e18)"),
            (f64::from_bits(0xfff8_0000_0000_0001).into(), "Float(NaN)"),
            (f64::INFINITY.into(), "Float(inf)"),
            (7.into(), "Int(7)"),
            (().into(), "Unit"),
        ] {
            assert_eq!(form(value), expected);
        }
    }

    #[test]
    fn texts_with_one_hash_differ() {
        let [a, b] = ["a", "b"].map(|text| StoredValue::Text { hash: 7, text: text.into() });
        assert_eq!(
            (a.cmp(&b), b.cmp(&a), a.cmp(&a)),
            (Ordering::Less, Ordering::Greater, Ordering::Equal)
        );
    }

    #[test]
    fn equal_values_have_one_hash() {
        let hash = |value: TagValue| StoredValue::from(value).hash();
        assert_eq!(hash(1.into()), hash(1.0.into()));
        assert_eq!(hash("a".into()), hash("a".into()));
        assert_ne!(hash("a".into()), hash("b".into()));
    }
}
