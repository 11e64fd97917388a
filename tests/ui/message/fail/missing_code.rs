#[veltix::message]
enum App {
    Chat,
    File = 200,
    Typing,
}

fn main() {
    // The enum is there all the same: no second error for its uses.
    let _ = veltix::Message::empty(App::Typing);
}
