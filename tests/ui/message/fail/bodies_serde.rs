#[veltix::message]
#[serde(rename_all = "camelCase")]
enum Chat {
    #[message(code = 200)]
    #[serde(rename = "typing")]
    Typing,
    #[message(code = 201, text)]
    Motd(#[serde(default)] String),
    #[message(code = 203, derive(PartialEq))]
    Roster(Roster),
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Roster;

fn main() {}
