//! [`find`]: the first part of a value that breaks a rule, and the path to it.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::path::{Path, Step};
use super::rule::{self, InSome, Problem};

/// Walks a value that was refused, and returns its first problem with the path to it. It returns
/// `None` if the value breaks no rule, which means that it was refused for another reason.
#[cold]
pub(super) fn find<T: Serialize + ?Sized>(value: &T, json: bool) -> Option<(Problem, Path)> {
    let walk = Walk { json, depth: rule::MAX_DEPTH, in_some: InSome::No };
    let Found { problem, path } = value.serialize(walk).err()?;
    problem.map(|problem| (problem, path))
}

/// Walks one value. It follows the rules of [`Checked`](super::checked::Checked), and writes
/// nothing.
#[derive(Clone, Copy)]
struct Walk {
    json: bool,
    depth: u8,
    in_some: InSome,
}

/// Ends the walk.
#[derive(Debug)]
struct Found {
    /// Is `None` if the value's own implementation failed.
    problem: Option<Problem>,
    /// Grows from the problem outward, while the walk returns.
    path: Path,
}

impl Found {
    const fn new(problem: Problem) -> Self {
        Self { problem: Some(problem), path: Path::new() }
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.wrap(step);
        self
    }
}

impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.map_or(Ok(()), |problem| problem.fmt(f))
    }
}

impl std::error::Error for Found {}

impl ser::Error for Found {
    fn custom<T: Display>(_text: T) -> Self {
        Self { problem: None, path: Path::new() }
    }
}

impl Walk {
    fn enter(self, levels: u8, name: &str) -> Result<Parts, Found> {
        let depth = self.depth.checked_sub(levels).or_else(|| rule::pseudo_depth(name));
        let depth = depth.ok_or(Found::new(Problem::TooDeep))?;
        Ok(Parts {
            walk: Self { depth, in_some: InSome::No, ..self },
            index: 0,
            key: String::new(),
        })
    }

    fn check_null(self) -> Result<(), Found> {
        if self.in_some == InSome::Yes { Err(Found::new(Problem::SomeIsNull)) } else { Ok(()) }
    }
}

/// Walks the parts of an array or object.
struct Parts {
    walk: Walk,
    index: usize,
    key: String,
}

impl Parts {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Found> {
        let index = self.index;
        self.index += 1;
        value.serialize(self.walk).map_err(|found| found.inside(Step::Index(index)))
    }

    fn field<T: Serialize + ?Sized>(&self, name: &'static str, value: &T) -> Result<(), Found> {
        value.serialize(self.walk).map_err(|found| found.inside(Step::Field(name)))
    }
}

macro_rules! accept {
    ($($method:ident($value:ty)),* $(,)?) => {$(
        fn $method(self, _value: $value) -> Result<(), Found> {
            Ok(())
        }
    )*};
}

impl Serializer for Walk {
    type Ok = ();
    type Error = Found;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    accept! {
        serialize_bool(bool), serialize_char(char),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_i128(i128), serialize_u128(u128),
    }

    fn serialize_str(self, text: &str) -> Result<(), Found> {
        if self.in_some.is_raw_null(text) { Err(Found::new(Problem::SomeIsNull)) } else { Ok(()) }
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Result<(), Found> {
        if self.json { self.enter(1, "").map(drop) } else { Ok(()) }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Found> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Found> {
        if value.is_finite() || !self.json { Ok(()) } else { Err(Found::new(Problem::NotFinite)) }
    }

    fn serialize_none(self) -> Result<(), Found> {
        self.check_null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Found> {
        match self.json {
            true => value.serialize(Self { in_some: InSome::Yes, ..self }),
            false => value.serialize(self.enter(1, "")?.walk),
        }
    }

    fn serialize_unit(self) -> Result<(), Found> {
        self.check_null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Found> {
        self.check_null()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<(), Found> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Found> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Found> {
        self.enter(1, name)?.field(variant, value)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Parts, Found> {
        self.enter(1, "")
    }

    fn serialize_tuple(self, _length: usize) -> Result<Parts, Found> {
        self.enter(1, "")
    }

    fn serialize_tuple_struct(self, name: &'static str, _length: usize) -> Result<Parts, Found> {
        self.enter(1, name)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Parts, Found> {
        self.enter(rule::variant_levels(self.json), "")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Parts, Found> {
        self.enter(1, "")
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Parts, Found> {
        let mut parts = self.enter(1, name)?;
        parts.walk.in_some = self.in_some.inside(name);
        Ok(parts)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Parts, Found> {
        self.enter(rule::variant_levels(self.json), "")
    }

    fn collect_str<T: Display + ?Sized>(self, _value: &T) -> Result<(), Found> {
        Ok(())
    }
}

macro_rules! elements {
    ($($name:ident::$method:ident),* $(,)?) => {$(
        impl $name for Parts {
            type Ok = ();
            type Error = Found;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Found> {
                self.element(value)
            }

            fn end(self) -> Result<(), Found> {
                Ok(())
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
        impl $name for Parts {
            type Ok = ();
            type Error = Found;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Found> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Found> {
                Ok(())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts {
    type Ok = ();
    type Error = Found;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Found> {
        self.key = serde_json::to_string(key).unwrap_or_default();
        key.serialize(self.walk).map_err(|found| found.inside(Step::Key("a key".to_owned())))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Found> {
        value.serialize(self.walk).map_err(|found| found.inside(Step::Key(self.key.clone())))
    }

    fn end(self) -> Result<(), Found> {
        Ok(())
    }
}
