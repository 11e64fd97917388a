//! An enum that a `macro_rules!` writes.

mod vendor {
    pub use veltix;
}

macro_rules! messages {
    ($vis:vis $name:ident { $($variant:ident = $code:expr),* $(,)? }) => {
        #[veltix::message(crate = $crate::vendor::veltix)]
        $vis enum $name { $($variant = $code),* }
    };
}

messages!(pub App { Chat = 200, File = 0b1100_1001 });

fn main() {
    assert_eq!(App::File.code(), 201);
}
