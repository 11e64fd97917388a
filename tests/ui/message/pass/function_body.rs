//! An enum may stand inside a function, where items have no path.

fn main() {
    #[veltix::message]
    enum App {
        Chat = 200,
    }

    assert_eq!(App::Chat.code(), 200);

    {
        #[veltix::message]
        enum App {
            Chat = 201,
        }

        assert_eq!(App::Chat.code(), 201);
    }
}
