// A derive above the attribute has run and is gone before the macro sees anything. The macro
// derives the same traits again, and rustc names both places.
#[derive(Debug)]
#[veltix::message]
enum App {
    Chat = 200,
}

fn main() {}
