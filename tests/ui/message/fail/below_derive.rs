// A derive above the attribute has run and is gone before the macro sees anything. What it derived
// is derived again, and rustc names both places.
#[derive(Debug)]
#[veltix::message]
enum App {
    Chat = 200,
}

fn main() {}
