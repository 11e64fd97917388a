// Which of two conditional variants remain is known to rustc alone, so it is rustc that refuses
// two with the same code.
#[veltix::message]
enum App {
    Chat = 200,
    #[cfg(all())]
    File = 200,
}

fn main() {}
