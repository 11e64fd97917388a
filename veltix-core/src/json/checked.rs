//! [`Checked`]: a serializer that refuses values which no receiver can read back.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::rule::{self, InSome, Problem};

/// Passes a value on to `inner`, and refuses the parts of it that a reader takes for another value
/// or does not accept.
///
/// The checks are a few comparisons beside the work of `inner`, into which every method is inlined: as
/// calls they were measured to cost 3 % of a message. The path to a refused part is not
/// tracked here: [`find`](super::find::find) walks the value again.
///
/// Without `JSON`, only the depth is checked, for a format that can express every value: there a
/// `Some` is a level of its own, and a variant is one level.
pub(crate) struct Checked<S, const JSON: bool> {
    inner: S,
    place: Place,
}

/// Describes where a value is.
#[derive(Clone, Copy)]
struct Place {
    /// Counts the arrays and objects that may still be nested in this place.
    depth: u8,
    in_some: InSome,
}

impl<S: Serializer, const JSON: bool> Checked<S, JSON> {
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner, place: Place { depth: rule::MAX_DEPTH, in_some: InSome::No } }
    }

    /// Returns the place of the parts of an array or object that begins here.
    #[inline(always)]
    fn enter(&self, name: &'static str) -> Result<Place, S::Error> {
        match self.place.depth.checked_sub(1) {
            Some(depth) => Ok(Place { depth, in_some: InSome::No }),
            None => rule::pseudo_depth(name)
                .map(|depth| Place { depth, in_some: InSome::No })
                .ok_or_else(|| refusal(Problem::TooDeep)),
        }
    }

    /// Refuses a `null` in a `Some`.
    #[inline(always)]
    fn check_null(&self) -> Result<(), S::Error> {
        if self.place.in_some == InSome::Yes { Err(refusal(Problem::SomeIsNull)) } else { Ok(()) }
    }
}

#[cold]
fn refusal<E: ser::Error>(problem: Problem) -> E {
    E::custom(problem)
}

/// Is a part of a value, in its place.
struct Part<'a, T: ?Sized, const JSON: bool> {
    value: &'a T,
    place: Place,
}

impl<T: Serialize + ?Sized, const JSON: bool> Serialize for Part<'_, T, JSON> {
    #[inline(always)]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked::<S, JSON> { inner, place: self.place })
    }
}

/// Is an array or object that is being written.
pub(crate) struct Compound<C, const JSON: bool> {
    inner: C,
    /// Is the place of its parts.
    place: Place,
}

macro_rules! pass_on {
    ($($method:ident($value:ty)),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<S: Serializer, const JSON: bool> Serializer for Checked<S, JSON> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<S::SerializeSeq, JSON>;
    type SerializeTuple = Compound<S::SerializeTuple, JSON>;
    type SerializeTupleStruct = Compound<S::SerializeTupleStruct, JSON>;
    type SerializeTupleVariant = Compound<S::SerializeTupleVariant, JSON>;
    type SerializeMap = Compound<S::SerializeMap, JSON>;
    type SerializeStruct = Compound<S::SerializeStruct, JSON>;
    type SerializeStructVariant = Compound<S::SerializeStructVariant, JSON>;

    pass_on! {
        serialize_bool(bool), serialize_char(char),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_i128(i128), serialize_u128(u128),
    }

    #[inline(always)]
    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if self.place.in_some.is_raw_null(text) {
            return Err(refusal(Problem::SomeIsNull));
        }
        self.inner.serialize_str(text)
    }

    /// JSON has no bytes: they are an array of numbers.
    #[inline(always)]
    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        if JSON {
            self.enter("")?;
        }
        self.inner.serialize_bytes(bytes)
    }

    #[inline(always)]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if JSON && !value.is_finite() {
            return Err(refusal(Problem::NotFinite));
        }
        if JSON && rule::needs_double(value) {
            return self.inner.serialize_f64(value.into());
        }
        self.inner.serialize_f32(value)
    }

    #[inline(always)]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if JSON && !value.is_finite() {
            return Err(refusal(Problem::NotFinite));
        }
        self.inner.serialize_f64(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.check_null()?;
        self.inner.serialize_none()
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let place =
            if JSON { Place { in_some: InSome::Yes, ..self.place } } else { self.enter("")? };
        self.inner.serialize_some(&Part::<T, JSON> { value, place })
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.check_null()?;
        self.inner.serialize_unit()
    }

    #[inline(always)]
    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.check_null()?;
        self.inner.serialize_unit_struct(name)
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Part::<T, JSON> { value, place: self.place })
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.enter(name)?;
        self.inner.serialize_newtype_variant(
            name,
            index,
            variant,
            &Part::<T, JSON> { value, place },
        )
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let place = self.enter("")?;
        Ok(Compound { inner: self.inner.serialize_seq(length)?, place })
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        let place = self.enter("")?;
        Ok(Compound { inner: self.inner.serialize_tuple(length)?, place })
    }

    #[inline(always)]
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        let place = self.enter(name)?;
        Ok(Compound { inner: self.inner.serialize_tuple_struct(name, length)?, place })
    }

    /// A variant with several fields is an object around an array, so it takes two levels.
    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let place = self.enter_variant()?;
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Compound { inner, place })
    }

    #[inline(always)]
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let place = self.enter("")?;
        Ok(Compound { inner: self.inner.serialize_map(length)?, place })
    }

    #[inline(always)]
    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let in_some = self.place.in_some.inside(name);
        let place = Place { in_some, ..self.enter(name)? };
        Ok(Compound { inner: self.inner.serialize_struct(name, length)?, place })
    }

    /// A variant with named fields is an object in an object, so it takes two levels.
    #[inline(always)]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let place = self.enter_variant()?;
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(Compound { inner, place })
    }

    #[inline(always)]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<S: Serializer, const JSON: bool> Checked<S, JSON> {
    #[inline(always)]
    fn enter_variant(&self) -> Result<Place, S::Error> {
        match self.place.depth.checked_sub(rule::variant_levels(JSON)) {
            Some(depth) => Ok(Place { depth, in_some: InSome::No }),
            None => Err(refusal(Problem::TooDeep)),
        }
    }
}

macro_rules! elements {
    ($($name:ident::$method:ident),* $(,)?) => {$(
        impl<C: $name, const JSON: bool> $name for Compound<C, JSON> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$method(&Part::<T, JSON> { value, place: self.place })
            }

            #[inline(always)]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($name:ident),* $(,)?) => {$(
        impl<C: $name, const JSON: bool> $name for Compound<C, JSON> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.inner.serialize_field(key, &Part::<T, JSON> { value, place: self.place })
            }

            #[inline(always)]
            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(key)
            }

            #[inline(always)]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

/// Keys are texts, and `inner` checks them: it refuses floats that are not finite.
impl<C: SerializeMap, const JSON: bool> SerializeMap for Compound<C, JSON> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Part::<T, JSON> { value, place: self.place })
    }

    #[inline(always)]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.inner.serialize_entry(key, &Part::<V, JSON> { value, place: self.place })
    }

    #[inline(always)]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
