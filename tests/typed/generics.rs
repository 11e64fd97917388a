//! Generic messages: a struct has only the parameters and bounds that its variant uses.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use veltix::typed::{ToMessage, Typed};

use super::*;

trait Entity {
    type Id: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static;
}

/// A type that serializes nothing and has no value.
#[derive(Clone, Debug, PartialEq)]
struct Player;

impl Entity for Player {
    type Id = u32;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
enum Store<T, E: Entity, const N: usize = 2>
where
    T: Clone + PartialEq<u8>,
{
    #[message(code = 300)]
    Put { value: T, previous: Option<T> },
    #[message(code = 301)]
    Find { id: E::Id, of: PhantomData<E> },
    #[message(code = 302)]
    Fixed {
        name: String,
        #[serde(skip)]
        size: Size<N>,
    },
    #[message(code = 303)]
    Page(Page<T>),
    #[message(code = 304)]
    Clear,
    #[message(code = 305)]
    Nested(Vec<(T, Vec<T>)>),
    #[message(code = 306)]
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de> + Default"))]
    Custom {
        #[serde(default)]
        value: T,
    },
    #[message(code = 307, text)]
    Note(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Size<const N: usize>;

type Players = Store<u8, Player>;

#[track_caller]
fn check(store: Players, json: &str) {
    let message = store.to_message().unwrap();
    assert_eq!(message.text().unwrap(), json);
    assert_eq!(Players::from_message(message, ROOM).unwrap(), store);
}

#[test]
fn a_generic_enum_is_read_and_written() {
    check(Store::Put { value: 1, previous: None }, r#"{"value":1,"previous":null}"#);
    check(Store::Find { id: 7, of: PhantomData }, r#"{"id":7,"of":null}"#);
    check(Store::Fixed { name: "a".to_owned(), size: Size }, r#"{"name":"a"}"#);
    check(Store::Page(Page { items: vec![1] }), r#"{"items":[1]}"#);
    check(Store::Clear, "");
    check(Store::Nested(vec![(1, vec![2])]), "[[1,[2]]]");
    check(Store::Custom { value: 3 }, r#"{"value":3}"#);
    check(Store::Note("n".to_owned()), "n");
}

#[test]
fn a_struct_has_the_generics_that_its_variant_uses() {
    let put: Put<u8> = Put { value: 1, previous: Some(2) };
    let clear: Clear = Clear;
    let find: Find<Player> = Find { id: 7, of: PhantomData };
    let fixed: Fixed<3> = Fixed { name: String::new(), size: Size };
    assert_eq!(Store::<u8, Player, 2>::from(put), Store::Put { value: 1, previous: Some(2) });
    assert_eq!(Players::from(clear), Store::Clear);
    assert_eq!(Players::from(find), Store::Find { id: 7, of: PhantomData });
    assert_eq!(<Fixed<3> as TypedMessage>::TYPE.code(), fixed.to_message().unwrap().code());
    assert_eq!(Players::registry().iter().count(), 8);
}

#[veltix::message]
#[derive(Debug, PartialEq)]
enum Tree {
    /// `Self` refers to the enum, also in the struct.
    #[message(code = 300)]
    Branch { label: Label<Self> },
    #[message(code = 301)]
    Leaf(Vec<Label<Self>>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Label<T> {
    text: String,
    #[serde(skip)]
    of: PhantomData<T>,
}

impl<T> Clone for Label<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), of: PhantomData }
    }
}

#[test]
fn self_is_the_enum() {
    let label: Label<Tree> = Label { text: "oak".to_owned(), of: PhantomData };
    let branch = Branch { label: label.clone() };
    let leaf = Leaf(vec![label]);
    assert_eq!(
        Tree::from(branch).to_message().unwrap().text().unwrap(),
        r#"{"label":{"text":"oak"}}"#
    );
    assert_eq!(Tree::from(leaf).to_message().unwrap().text().unwrap(), r#"[{"text":"oak"}]"#);
}
