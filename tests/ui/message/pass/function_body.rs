//! An enum may stand inside a function, where nothing has a path.

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
