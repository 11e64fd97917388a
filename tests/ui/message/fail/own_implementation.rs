// No macro sees what is implemented elsewhere; rustc names both places.
#[veltix::message]
enum App {
    Chat = 200,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

fn main() {}
