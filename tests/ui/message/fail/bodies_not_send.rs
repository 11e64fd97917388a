#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say {
        #[serde(skip)]
        local: std::rc::Rc<u8>,
    },
}

fn main() {}
