#[veltix::message(code = 200, rename_all = "lowercase")]
enum Unknown {
    Chat = 200,
}

#[veltix::message(200)]
enum NotAnArgument {
    Chat = 200,
}

#[veltix::message(crate = veltix)]
enum Relative {
    Chat = 200,
}

#[veltix::message(crate = self::veltix)]
enum AlsoRelative {
    Chat = 200,
}

#[veltix::message(crate = "veltix")]
enum Text {
    Chat = 200,
}

#[veltix::message(crate)]
enum NoPath {
    Chat = 200,
}

#[veltix::message(crate = ::veltix, crate = ::veltix)]
enum Twice {
    Chat = 200,
}

fn main() {}
