//! [`Node`]: obeys the orders of a test.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use veltix::cluster::{Cluster, Missing, NodeId, PeerRef, WatchEvent};
use veltix::presence::GroupEvent;
use veltix::request::Response;
use veltix::{Hub, Message, RequestError, Target, all, tag};
use veltix_cluster_faults::{ASK, Call, Counted, Line, Order, Place, Sent, Surveyed, Watched, now};

use crate::load::{Loads, add};
use crate::state::state;
use crate::talk::Talk;

#[derive(Clone)]
pub(crate) struct Node {
    hub: Hub,
    talk: Talk,
    loads: Loads,
}

impl Node {
    pub(crate) const fn new(hub: Hub, talk: Talk, loads: Loads) -> Self {
        Self { hub, talk, loads }
    }

    /// Obeys until the test closes the standard input. The node then ends at once: its test has.
    pub(crate) async fn obey(self) {
        let mut lines = BufReader::new(stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let node = self.clone();
            // A load must not delay the next order.
            tokio::spawn(async move {
                let order = serde_json::from_str::<(u64, Order)>(&line);
                let done = match order {
                    Ok((number, order)) => node.take(number, order).await,
                    Err(error) => Err(error.into()),
                };
                if let Err(error) = done {
                    node.talk.say(&Line::Failed { reason: format!("{line}: {error:#}") });
                }
            });
        }
        std::process::exit(0);
    }

    async fn take(&self, number: u64, order: Order) -> Result<()> {
        let (cluster, talk) = (Cluster::of(&self.hub), &self.talk);
        let begun = Instant::now();
        let took = || begun.elapsed().as_micros() as u64;
        match order {
            Order::State => talk.answer(number, &state(&self.hub)),
            Order::Load(load) => {
                self.loads.run(load, |report| talk.answer(number, &report)).await;
            }
            Order::EndLoads => {
                self.loads.end();
                talk.answer(number, &());
            }
            Order::Send { to, length } => {
                let mut sent = Sent::default();
                let room = match &to {
                    Place::Everywhere => None,
                    Place::Room(room) => Some(room.as_str()),
                };
                add(&mut sent, self.loads.send(room, length)?);
                talk.answer(number, &sent);
            }
            Order::SendEach { room, rooms } => {
                let mut sent = Sent::default();
                for room_number in 0..rooms {
                    let room = format!("{room}{room_number}");
                    add(&mut sent, self.loads.send_numbered(Some(&room), room_number, 0)?);
                    if room_number % 50 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                talk.answer(number, &sent);
            }
            Order::Count(place) => {
                let count = cluster.count(target(place)).await?;
                let missing = missing(&count.missing);
                talk.answer(number, &Counted { peers: count.value, missing, took: took() });
            }
            Order::Request { peer, timeout } => {
                let peer: PeerRef = peer.parse()?;
                let ask = Message::from_text(ASK, "?");
                let request = cluster.peer(peer).request(&ask);
                let outcome = match request.timeout(Duration::from_millis(timeout)).await {
                    Ok(_) => "reply".to_owned(),
                    Err(error) => error_name(&error),
                };
                talk.answer(number, &Call { outcome, took: took() });
            }
            Order::Survey { room, timeout } => {
                let ask = Message::from_text(ASK, "?");
                let survey = cluster.to(tag("room").is(room.as_str())).request(&ask)?;
                let mut survey = survey.timeout(Duration::from_millis(timeout));
                let mut responses = Vec::new();
                while let Some((peer, response)) = survey.next().await {
                    let name = match response {
                        Response::Reply(_) => "Reply",
                        Response::Left => "Left",
                        Response::TimedOut => "TimedOut",
                        _ => "other",
                    };
                    responses.push((peer.to_string(), name.to_owned(), now()));
                }
                let missing = missing(survey.missing());
                talk.answer(number, &Surveyed { responses, missing, took: took() });
            }
            Order::Watch { room, grace } => {
                self.watch(&room, grace)?;
                talk.answer(number, &());
            }
            Order::Peers => {
                let node = cluster.node();
                let peers = self.hub.list(all())?.into_iter();
                let names = peers.map(|peer| PeerRef { node, peer: peer.id() }.to_string());
                talk.answer(number, &names.collect::<Vec<_>>());
            }
            Order::Drain => {
                talk.answer(number, &());
                // The end is told by `main`.
                drop(self.hub.shutdown());
            }
        }
        Ok(())
    }

    /// Tells the changes of a watch for as long as the node lives.
    fn watch(&self, room: &str, grace: Option<u64>) -> Result<()> {
        let talk = self.talk.clone();
        let say = move |change| talk.say(&Line::Watched { at: now(), change });
        let watch = Cluster::of(&self.hub).watch(tag("room").is(room));
        let Some(grace) = grace else {
            let mut watch = watch.start()?;
            tokio::spawn(async move {
                while let Some(event) = watch.next().await {
                    match event {
                        WatchEvent::Reset(members) => {
                            let members = members.iter().map(|it| it.peer.to_string());
                            say(Watched::Reset(members.collect()));
                        }
                        WatchEvent::Entered(member) => {
                            say(Watched::Entered(member.peer.to_string()));
                        }
                        WatchEvent::Left(member) => say(Watched::Left(member.peer.to_string())),
                        _ => {}
                    }
                }
            });
            return Ok(());
        };
        let mut watch = watch.by("user").grace(Duration::from_millis(grace)).start()?;
        tokio::spawn(async move {
            while let Some(event) = watch.next().await {
                match event {
                    GroupEvent::Reset(groups) => {
                        let keys = groups.iter().map(|group| group.key.to_string());
                        say(Watched::Reset(keys.collect()));
                    }
                    GroupEvent::Joined(group) => say(Watched::Entered(group.key.to_string())),
                    GroupEvent::Left(group) => say(Watched::Left(group.key.to_string())),
                    _ => {}
                }
            }
        });
        Ok(())
    }
}

fn target(place: Place) -> Target {
    match place {
        Place::Everywhere => all(),
        Place::Room(room) => tag("room").is(room.as_str()),
    }
}

fn missing(missing: &[(NodeId, Missing)]) -> Vec<(String, String)> {
    let missing: BTreeMap<_, _> = missing.iter().map(|(node, it)| (node.to_string(), it)).collect();
    missing.into_iter().map(|(node, it)| (node, format!("{it:?}"))).collect()
}

/// Returns the name of an error, without its fields.
fn error_name<E: std::fmt::Debug>(error: &RequestError<E>) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}
