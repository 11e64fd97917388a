#[veltix::message]
enum App<const N: usize> {
    Chat = 200,
}

#[veltix::message]
enum Bounded
where
    String: Clone,
{
    Chat = 200,
}

fn main() {}
