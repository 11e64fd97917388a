#[veltix::message]
enum Chat {
    #[message(cod = 200)]
    Slip,
    #[message(code = 201, jason)]
    Unknown(String),
    #[message(code = 202, repply = Slip)]
    LongerSlip,
    #[message(code = 203, code = 204, name = "a", name = "b")]
    Twice,
    #[message(code = 205, text = true)]
    Value(String),
    #[message(code = 206, reply = "Slip")]
    Quoted,
    #[message(code = 207, name = say)]
    Name,
    #[message(code = 208 max = 4)]
    Comma(String),
    #[message(code = 209, "raw")]
    Literal(Vec<u8>),
    #[message(code = 210, name = "")]
    Nameless,
    #[message(code = 211, reply)]
    NoReply,
    #[message(code = 212, derive = PartialEq)]
    Derive,
}

fn main() {}
