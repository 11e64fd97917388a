//! Targets and values in the records between the nodes of a cluster.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::expression::Expression;
use super::number::{Comparison, TagNumber};
use super::peer_id::PeerId;
use super::target::Target;
use super::value::TagValue;
use crate::error::TargetError;
use crate::limits::TARGET_DEPTH;
use crate::wire::{Read as _, WireError, Write as _};

mod kind {
    pub(super) const ALL: u8 = 0;
    pub(super) const NOBODY: u8 = 1;
    pub(super) const HAS: u8 = 2;
    pub(super) const IS: u8 = 3;
    pub(super) const ANY_OF: u8 = 4;
    pub(super) const COMPARE: u8 = 5;
    pub(super) const NOT: u8 = 6;
    pub(super) const AND: u8 = 7;
    pub(super) const OR: u8 = 8;
    pub(super) const PEERS: u8 = 9;

    pub(super) const UNIT: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const TEXT: u8 = 5;
}

impl Target {
    /// Returns the target for the other nodes of a cluster: ids of peers have a meaning on their own
    /// node alone, so that [`peers`](crate::peers) matches nobody there.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self(self.0.elsewhere())
    }

    /// Returns whether the target matches no peer of any node.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self.0, Expression::Nobody)
    }

    /// Writes the target. The ids of peers are written as they are: the reader takes them for peers of its
    /// own node.
    pub fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }

    /// Reads a target off the front of the bytes.
    ///
    /// # Errors
    /// Returns [`WireError`] if the bytes are no target, or if it is over a limit.
    pub fn decode(bytes: &mut Bytes) -> Result<Self, WireError> {
        let target = Self(Expression::decode(bytes, TARGET_DEPTH)?);
        target.check()?;
        Ok(target)
    }
}

impl Expression {
    fn elsewhere(&self) -> Self {
        match self {
            Self::Peers(_) => Self::Nobody,
            Self::Not(term) => term.elsewhere().not(),
            Self::And(terms) => terms.list.iter().map(Self::elsewhere).fold(Self::All, Self::and),
            Self::Or(terms) => terms.list.iter().map(Self::elsewhere).fold(Self::Nobody, Self::or),
            other => other.clone(),
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::All => out.put_u8(kind::ALL),
            Self::Nobody | Self::Invalid(_) => out.put_u8(kind::NOBODY),
            Self::Peers(peers) => {
                out.put_u8(kind::PEERS);
                out.write_count(peers.len());
                peers.iter().for_each(|peer| out.put_u64(peer.value()));
            }
            Self::Has(name) => begin(out, kind::HAS, name),
            Self::Is(name, value) => {
                begin(out, kind::IS, name);
                value.to_value().encode(out);
            }
            Self::AnyOf(name, values) => {
                begin(out, kind::ANY_OF, name);
                out.write_count(values.len());
                values.iter().for_each(|value| value.to_value().encode(out));
            }
            Self::Compare(name, comparison, number) => {
                begin(out, kind::COMPARE, name);
                out.put_u8(comparison.number());
                number.value().encode(out);
            }
            Self::Not(term) => {
                out.put_u8(kind::NOT);
                term.encode(out);
            }
            Self::And(terms) | Self::Or(terms) => {
                out.put_u8(if matches!(self, Self::And(_)) { kind::AND } else { kind::OR });
                out.write_count(terms.list.len());
                terms.list.iter().for_each(|term| term.encode(out));
            }
        }
    }

    /// Reads an expression of at most `levels` levels.
    fn decode(bytes: &mut Bytes, levels: usize) -> Result<Self, WireError> {
        let too_deep = TargetError::TooDeep { limit: TARGET_DEPTH };
        let inner = levels.checked_sub(1).ok_or(too_deep)?;
        Ok(match bytes.read_u8()? {
            kind::ALL => Self::All,
            kind::NOBODY => Self::Nobody,
            kind::HAS => Self::Has(bytes.read_text()?),
            kind::IS => Self::Is(bytes.read_text()?, TagValue::decode(bytes)?.into()),
            kind::ANY_OF => {
                let name = bytes.read_text()?;
                let values = (0..bytes.read_count(1)?).map(|_| TagValue::decode(bytes));
                Self::any_of(name, values.collect::<Result<Vec<_>, _>>()?)
            }
            kind::COMPARE => {
                let name = bytes.read_text()?;
                let comparison = Comparison::of_number(bytes.read_u8()?)?;
                let value = TagValue::decode(bytes)?;
                let unknown = WireError::UnknownKind { what: "number", kind: kind::TEXT };
                Self::Compare(name, comparison, TagNumber::of_value(value).ok_or(unknown)?)
            }
            kind::NOT => Self::decode(bytes, inner)?.not(),
            kind::AND => Self::decode_terms(bytes, inner, Self::All, Self::and)?,
            kind::OR => Self::decode_terms(bytes, inner, Self::Nobody, Self::or)?,
            kind::PEERS => {
                let peers = (0..bytes.read_count(8)?).map(|_| bytes.read_u64().map(PeerId::new));
                Self::peers(peers.collect::<Result<Vec<_>, _>>()?)
            }
            kind => return Err(WireError::UnknownKind { what: "part of a target", kind }),
        })
    }

    fn decode_terms(
        bytes: &mut Bytes,
        levels: usize,
        none: Self,
        join: fn(Self, Self) -> Self,
    ) -> Result<Self, WireError> {
        let mut joined = none;
        for _ in 0..bytes.read_count(1)? {
            joined = join(joined, Self::decode(bytes, levels)?);
        }
        Ok(joined)
    }
}

fn begin(out: &mut BytesMut, kind: u8, name: &str) {
    out.put_u8(kind);
    out.write_text(name);
}

impl TagValue {
    /// Writes the value.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Unit => out.put_u8(kind::UNIT),
            Self::Bool(false) => out.put_u8(kind::FALSE),
            Self::Bool(true) => out.put_u8(kind::TRUE),
            Self::Int(number) => {
                out.put_u8(kind::INT);
                out.put_i64(*number);
            }
            Self::Float(number) => {
                out.put_u8(kind::FLOAT);
                out.put_f64(*number);
            }
            Self::Text(text) => {
                out.put_u8(kind::TEXT);
                out.write_text(text);
            }
        }
    }

    /// Reads a value off the front of the bytes.
    ///
    /// # Errors
    /// Returns [`WireError`] if the bytes are no value.
    pub fn decode(bytes: &mut Bytes) -> Result<Self, WireError> {
        Ok(match bytes.read_u8()? {
            kind::UNIT => Self::Unit,
            kind::FALSE => Self::Bool(false),
            kind::TRUE => Self::Bool(true),
            kind::INT => Self::Int(bytes.read_u64()? as i64),
            kind::FLOAT => Self::Float(f64::from_bits(bytes.read_u64()?)),
            kind::TEXT => Self::Text(bytes.read_text()?),
            kind => return Err(WireError::UnknownKind { what: "value of a tag", kind }),
        })
    }
}

impl Comparison {
    const fn number(self) -> u8 {
        match self {
            Self::AtLeast => 0,
            Self::AtMost => 1,
            Self::Above => 2,
            Self::Below => 3,
        }
    }

    const fn of_number(number: u8) -> Result<Self, WireError> {
        Ok(match number {
            0 => Self::AtLeast,
            1 => Self::AtMost,
            2 => Self::Above,
            3 => Self::Below,
            kind => return Err(WireError::UnknownKind { what: "comparison", kind }),
        })
    }
}
