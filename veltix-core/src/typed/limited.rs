//! [`Limited`]: a deserializer that limits how deep the parts of a value are nested, and their number.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::error::BodyError;
use crate::limits::{BODY_DEPTH, EMPTY_ELEMENTS};

/// Reads a value from `inner`, whose format has no limits of its own: without them, a few bytes per
/// level would end the reader's stack, and a list of values without bytes would occupy the reader for ever.
///
/// `inner` must describe each part by its kind, as postcard does: the visitors of arrays and structs
/// receive nothing else.
pub(crate) struct Limited<'a, D> {
    inner: D,
    level: Level<'a>,
}

/// The parts that a value may still have.
pub(crate) struct Allowance {
    /// Elements of lists and entries of maps.
    elements: Cell<usize>,
    /// The limit that the value is over. It is kept here, because the error of a format may have no text.
    exceeded: Cell<Option<Exceeded>>,
}

#[derive(Clone, Copy)]
enum Exceeded {
    Levels,
    Elements,
}

impl Allowance {
    /// Returns the allowance of a value in a body of this length.
    pub(crate) const fn of_body(length: usize) -> Self {
        Self { elements: Cell::new(length + EMPTY_ELEMENTS), exceeded: Cell::new(None) }
    }

    /// Returns the error of a value that could not be read.
    pub(crate) fn explain(&self, error: impl Into<BodyError>) -> BodyError {
        match self.exceeded.get() {
            Some(Exceeded::Levels) => BodyError::TooDeep,
            Some(Exceeded::Elements) => BodyError::TooManyElements,
            None => error.into(),
        }
    }

    fn refuse<E: serde::de::Error>(&self, exceeded: Exceeded) -> E {
        self.exceeded.set(Some(exceeded));
        E::custom("the value is over a limit")
    }

    /// Counts an element of a list, or an entry of a map.
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.elements.get().checked_sub(1);
        self.elements.set(left.ok_or_else(|| self.refuse(Exceeded::Elements))?);
        Ok(())
    }
}

/// Counts the levels that may still begin.
#[derive(Clone, Copy)]
struct Level<'a> {
    left: usize,
    /// True in a list or map, whose length comes from the body.
    in_list: bool,
    allowance: &'a Allowance,
}

impl Level<'_> {
    /// Returns the level of the parts of a part.
    fn enter<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        let left = left.ok_or_else(|| self.allowance.refuse(Exceeded::Levels))?;
        Ok(Self { left, in_list: false, ..self })
    }

    /// Returns the level of the elements of a list, or of the entries of a map.
    fn enter_list<E: serde::de::Error>(self) -> Result<Self, E> {
        Ok(Self { in_list: true, ..self.enter()? })
    }

    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        if self.in_list { self.allowance.count() } else { Ok(()) }
    }
}

impl<'a, D> Limited<'a, D> {
    /// Limits `inner`.
    pub(crate) const fn new(inner: D, allowance: &'a Allowance) -> Self {
        Self { inner, level: Level { left: BODY_DEPTH, in_list: false, allowance } }
    }
}

/// Is something that `inner` handles, at its level: a visitor, a seed, or an access.
struct At<'a, T> {
    inner: T,
    level: Level<'a>,
}

macro_rules! pass_on {
    ($($method:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Limited<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any, deserialize_ignored_any, deserialize_identifier, deserialize_bool,
        deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_i128,
        deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64, deserialize_u128,
        deserialize_f32, deserialize_f64, deserialize_char, deserialize_str, deserialize_string,
        deserialize_bytes, deserialize_byte_buf, deserialize_unit,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(At { inner: visitor, level: self.level })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, At { inner: visitor, level: self.level })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let level = self.level.enter_list()?;
        self.inner.deserialize_seq(At { inner: visitor, level })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let level = self.level.enter()?;
        self.inner.deserialize_tuple(length, At { inner: visitor, level })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let level = self.level.enter()?;
        self.inner.deserialize_tuple_struct(name, length, At { inner: visitor, level })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let level = self.level.enter_list()?;
        self.inner.deserialize_map(At { inner: visitor, level })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let level = self.level.enter()?;
        self.inner.deserialize_struct(name, fields, At { inner: visitor, level })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, At { inner: visitor, level: self.level })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for At<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let level = self.level.enter()?;
        self.inner.visit_some(Limited { inner, level })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Limited { inner, level: self.level })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(At { inner, level: self.level })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(At { inner, level: self.level })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(At { inner, level: self.level })
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for At<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Limited { inner, level: self.level })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for At<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        let element = self.inner.next_element_seed(At { inner: seed, level: self.level })?;
        if element.is_some() {
            self.level.count()?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for At<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key_seed(At { inner: seed, level: self.level })?;
        if key.is_some() {
            self.level.count()?;
        }
        Ok(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(At { inner: seed, level: self.level })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'a, A: EnumAccess<'de>> EnumAccess<'de> for At<'a, A> {
    type Error = A::Error;
    type Variant = At<'a, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, At { inner, level: self.level }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for At<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let level = self.level.enter()?;
        self.inner.newtype_variant_seed(At { inner: seed, level })
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let level = self.level.enter()?;
        self.inner.tuple_variant(length, At { inner: visitor, level })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let level = self.level.enter()?;
        self.inner.struct_variant(fields, At { inner: visitor, level })
    }
}
