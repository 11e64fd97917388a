#[veltix::message]
enum App {}

fn main() {
    let _ = App::registry();
}
