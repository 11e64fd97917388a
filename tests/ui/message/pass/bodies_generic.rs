//! Each struct has the generics that its variant uses, with their bounds.

use std::fmt::Display;

use serde::{Serialize, de::DeserializeOwned};
use veltix::typed::{ToMessage, Typed, TypedMessage};

#[veltix::message]
#[derive(Clone, Debug)]
pub enum Store<T: Into<U> + Clone, U: Display = String, const N: usize = 2>
where
    [u8; N]: Default,
    U: Clone,
{
    #[message(code = 200, reply = Got<T>)]
    Put { value: T, at: Vec<T> },
    #[message(code = 201)]
    Got { value: Option<T> },
    #[message(code = 202)]
    Size {
        of: [u8; 2],
        #[serde(skip)]
        room: Room<N>,
    },
    #[message(code = 203)]
    Name(Name<U>),
    #[message(code = 204)]
    Clear,
}

#[derive(Clone, Debug, Default)]
pub struct Room<const N: usize>;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Name<U>(U);

fn send<T>(value: T) -> u16
where
    T: Clone + Into<String> + Serialize + DeserializeOwned + Send + 'static,
{
    let put = Put { value: value.clone(), at: vec![value] };
    let message = Store::<T>::from(put).to_message().unwrap();
    let read = Put::<T>::from_message(message.clone(), 99).unwrap();
    assert_eq!(Store::<T, String, 2>::from(read).to_message().unwrap(), message);
    message.code()
}

fn main() {
    assert_eq!(send("a".to_owned()), 200);
    assert_eq!(Size::<7>::TYPE.code(), 202);
    assert_eq!(Clear::TYPE.code(), 204);
    assert_eq!(<Name<u8> as TypedMessage>::TYPE.code(), 203);
}
