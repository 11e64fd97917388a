/// Documented.
#[veltix::message]
#[derive(Debug)]
pub struct Say {
    text: String,
}

#[veltix::message]
pub(crate) union Raw {
    byte: u8,
}

#[veltix::message]
async fn say() {}

#[veltix::message]
impl Say {}

#[veltix::message]
mod inner {}

#[veltix::message]
type Alias = Say;

fn main() {
    // All of them are there all the same.
    let _ = (say(), std::mem::size_of::<(Alias, Raw)>());
}
