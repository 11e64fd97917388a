//! An enum with bodies that a `macro_rules!` writes, of a crate that re-exports the facade.

mod vendor {
    pub use veltix;
}

macro_rules! messages {
    ($vis:vis $name:ident { $($variant:ident($ty:ty) = $code:literal by $key:ident),* $(,)? }) => {
        #[veltix::message(crate = $crate::vendor::veltix)]
        $vis enum $name {
            $(#[message(code = $code)] $variant($ty),)*
            #[message(code = 999)]
            Say { text: String, next: Option<Box<Say>> },
        }
    };
}

macro_rules! generic {
    ($name:ident<$parameter:ident>) => {
        #[veltix::message(crate = $crate::vendor::veltix)]
        enum $name<$parameter> {
            #[message(code = 200)]
            Item { value: $parameter, more: Vec<$parameter> },
        }
    };
}

generic!(Items<T>);

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Roster(u8);

messages!(pub App { Names(Vec<String>) = 200 by text, Roster(Roster) = 201 by raw });

#[veltix::message(crate = crate::vendor::veltix)]
enum Other {
    #[message(code = 200, derive(PartialEq), reply = Typing)]
    Word { text: String },
    #[message(code = 201)]
    Typing,
}

fn main() {
    use veltix::typed::{ToMessage, Typed};

    let names = App::from(Names(vec!["ann".into()])).to_message().unwrap();
    assert!(matches!(App::from_message(names, 99), Ok(App::Names(_))));
    let item = Items::from(Item { value: 1_u8, more: vec![2] }).to_message().unwrap();
    assert_eq!(item.text().unwrap(), r#"{"value":1,"more":[2]}"#);
    assert_eq!(App::from(Roster(1)).code(), 201);
    let inner = Some(Box::new(Say { text: "b".into(), next: None }));
    let say = App::Say { text: "a".into(), next: inner }.to_message().unwrap();
    let json = br#"{"text":"a","next":{"text":"b","next":null}}"#;
    assert_eq!(say.body().as_ref(), json);
    assert!(matches!(App::from_message(say, 99), Ok(App::Say { next: Some(_), .. })));
    let word = Word { text: "hi".into() };
    let read = Word::from_message(word.to_message().unwrap(), 99).unwrap();
    assert!(read == word);
    assert_eq!((Other::from(word).code(), Other::from(Typing).code()), (200, 201));
}
