//! Tags with any content, of which none may reach a subject of the broker.

use veltix::{TagValue, all, tag};

use super::place::Place;
use super::scene::{Scene, soon};

/// Texts that mean something to a broker, or to a program that is not careful.
fn texts() -> Vec<String> {
    let short = [
        "",
        " ",
        ".",
        "*",
        ">",
        "a.b",
        "a.*",
        "*.*",
        "vx.>",
        "vx.conformance.1.all",
        "é",
        "e\u{301}",
        "\0",
        "a\0b",
        "\r\n",
        "PUB a 1\r\nx\r\n",
        "_INBOX.>",
        "$SYS.>",
        "\u{202e}",
        "🦀",
        "NULL",
        "true",
        "1",
        "-0",
        "NaN",
    ];
    short.map(str::to_owned).into_iter().chain([".".repeat(1_024), "é".repeat(512)]).collect()
}

pub(super) async fn hostile_tags_reach_their_holders_alone<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    let texts = texts();
    let mut expected = vec![Vec::new(); readers.len()];
    // Each text is a value of one reader, and as far as it can be one, the name of a tag of the next.
    for (at, text) in texts.iter().enumerate() {
        let (one, next) = (at % readers.len(), (at + 1) % readers.len());
        let peer = |of: usize| scene.home(readers[of].peer).hub.get(readers[of].peer.peer).unwrap();
        peer(one).join("text", text.as_str()).unwrap();
        if !text.is_empty() && text.len() <= 128 {
            peer(next).set_tag((text.as_str(), text.as_str())).unwrap();
            expected[next].push(format!("name {at}"));
        }
        expected[one].push(format!("value {at}"));
    }
    scene.agree().await;
    let node = &scene.nodes[0];
    for (at, text) in texts.iter().enumerate() {
        node.say_to(tag("text").is(text.as_str()), &format!("value {at}"));
        if !text.is_empty() && text.len() <= 128 {
            let named = tag(text).is(text.as_str());
            assert_eq!(soon(node.cluster.count(&named)).await.unwrap().complete().unwrap(), 1);
            node.say_to(named, &format!("name {at}"));
        }
        // Nobody has the text as the value of another name, and a number is no text.
        node.say_to(tag("texts").is(text.as_str()), "never");
        node.say_to(tag("text").any_of([TagValue::from(1), true.into(), ().into()]), "never");
    }
    for (mut heard, mut expected) in scene.hear(&mut readers).await.into_iter().zip(expected) {
        heard.sort();
        expected.sort();
        assert_eq!(heard, expected);
    }
    let list = soon(node.cluster.list(tag("text")).with_tags(["text"])).await.unwrap();
    let mut listed: Vec<_> = list.complete().unwrap().into_iter().flat_map(|it| it.tags).collect();
    listed.sort_by(|one, other| one.value().cmp(other.value()));
    let mut values: Vec<_> = texts.iter().map(|text| TagValue::from(text.as_str())).collect();
    values.sort();
    assert_eq!(listed.iter().map(|tag| tag.value().clone()).collect::<Vec<_>>(), values);
}

pub(super) async fn ten_thousand_tags_leak_nothing<P: Place>(place: P) {
    const TAGS: usize = 10_000;
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    // Each reader has had each of its values for a moment.
    for number in 0..TAGS {
        let reader = &readers[number % readers.len()];
        scene.tag(reader, ("number", format!("{number}.*")));
    }
    let current =
        |at: usize| (0..TAGS).rev().find(|number| number % P::NODES == at).expect("there is one");
    let node = &scene.nodes[0];
    for number in 0..TAGS {
        node.say_to(tag("number").is(format!("{number}.*")), &number.to_string());
        if number % 1_000 == 0 {
            soon(node.cluster.count(all())).await.unwrap().complete().unwrap();
        }
    }
    for (at, heard) in scene.hear(&mut readers).await.into_iter().enumerate() {
        assert_eq!(heard, [current(at).to_string()]);
    }
}
