//! The order in which a peer hears the sends of one node.

use tokio::task::yield_now;
use veltix::{OverflowPolicy, all, tag};

use super::place::Place;
use super::scene::{Scene, say, soon};

/// Sends of a node, few enough for the outbox of a reader.
const SENDS: usize = 600;

pub(super) async fn one_origin_is_heard_in_order_across_targets_and_classes<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    for reader in &readers {
        scene.tag(reader, ("room", "lobby"));
    }
    let node = &scene.nodes[0];
    let mut expected = vec![Vec::new(); readers.len()];
    for number in 0..SENDS {
        let (text, one) = (number.to_string(), number % readers.len());
        let message = say(&text);
        match number % 7 {
            0 => node.hub.broadcast(&message).map(drop),
            1 => node.hub.to(tag("room").is("lobby")).send(&message).map(drop),
            2 => node.cluster.to(!tag("nothing")).send(&message).map(drop),
            3 => {
                let message = message.on_full(OverflowPolicy::DropNewest);
                node.hub.broadcast(&message).map(drop)
            }
            // A key of its own supersedes nothing.
            4 => node.hub.broadcast(&message.latest(number)).map(drop),
            5 => node.hub.to(all()).except_ref(readers[one].peer).send(&message).map(drop),
            _ => node.cluster.peer(readers[one].peer).send(&message).map(drop),
        }
        .unwrap();
        for (at, expected) in expected.iter_mut().enumerate() {
            let hears = match number % 7 {
                5 => at != one,
                6 => at == one,
                _ => true,
            };
            expected.extend(hears.then(|| text.clone()));
        }
        if number % 50 == 0 {
            yield_now().await;
        }
    }
    assert_eq!(scene.hear(&mut readers).await, expected);
}

pub(super) async fn a_change_is_between_the_sends_around_it<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    let node = &scene.nodes[0];
    let muted = || tag("muted").is(true);
    for round in 0..20 {
        node.say_to(muted(), "never");
        // The send does not wait for the end of the change.
        let (tagged, ()) = tokio::join!(soon(node.cluster.tag(all(), ("muted", true))), async {
            node.say_to(muted(), &format!("muted {round}"));
        });
        assert_eq!(tagged.unwrap().complete().unwrap(), P::NODES);
        let (untagged, ()) = tokio::join!(soon(node.cluster.untag(all(), "muted")), async {
            node.say_to(muted(), "never");
            node.say_to(all() & !muted(), &format!("free {round}"));
        });
        assert_eq!(untagged.unwrap().complete().unwrap(), P::NODES);
    }
    let expected: Vec<_> =
        (0..20).flat_map(|round| [format!("muted {round}"), format!("free {round}")]).collect();
    for heard in scene.hear(&mut readers).await {
        assert_eq!(heard, expected);
    }
}

pub(super) async fn each_origin_has_an_order_of_its_own<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for number in 0..SENDS / P::NODES {
        for (at, node) in scene.nodes.iter().enumerate() {
            node.say_to(all(), &format!("{at} {number}"));
        }
        if number % 20 == 0 {
            yield_now().await;
        }
    }
    for heard in scene.hear(&mut readers).await {
        assert_eq!(heard.len(), SENDS / P::NODES * P::NODES);
        for at in 0..P::NODES {
            let of_node: Vec<_> =
                heard.iter().filter_map(|text| text.strip_prefix(&format!("{at} "))).collect();
            let expected: Vec<_> = (0..SENDS / P::NODES).map(|it| it.to_string()).collect();
            assert_eq!(of_node, expected);
        }
    }
}
