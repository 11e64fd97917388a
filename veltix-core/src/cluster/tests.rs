//! The formats between nodes: round trips, and any bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::delivery::Key;
use crate::tags::{Member, PeerId, Tag, TagNumber, TagValue, Target, all, nobody, peers, tag};
use crate::{DeliveryClass, Frame, Message, OverflowPolicy, RequestId};

fn value() -> impl Strategy<Value = TagValue> {
    prop_oneof![
        Just(TagValue::from(())),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(TagValue::from),
    ]
}

fn leaf() -> impl Strategy<Value = Target> {
    let name = || "[a-zé.*>]{0,4}";
    prop_oneof![
        Just(all()),
        Just(nobody()),
        name().prop_map(|name| tag(name).into()),
        (name(), value()).prop_map(|(name, value)| tag(name).is(value)),
        (name(), vec(value(), 0..4)).prop_map(|(name, values)| tag(name).any_of(values)),
        (name(), any::<i64>()).prop_map(|(name, number)| tag(name).above(number)),
        (name(), any::<f64>())
            .prop_map(|(name, number)| tag(name).at_most(TagNumber::from(number))),
        vec(any::<u64>().prop_map(PeerId::new), 0..4).prop_map(peers),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|term| !term),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one & other),
            (inner.clone(), inner).prop_map(|(one, other)| one | other),
        ]
    })
}

fn key() -> impl Strategy<Value = Key> {
    let leaf = prop_oneof![
        Just(Key::from(())),
        any::<bool>().prop_map(Into::into),
        any::<char>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        ".{0,8}".prop_map(Key::from),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| (inner.clone(), inner).prop_map(Key::from))
}

fn class() -> impl Strategy<Value = DeliveryClass> {
    use OverflowPolicy::{Disconnect, DropNewest, DropOldest};
    let policy = prop_oneof![Just(Disconnect), Just(DropNewest), Just(DropOldest)];
    prop_oneof![
        Just(DeliveryClass::DEFAULT),
        policy.prop_map(DeliveryClass::of_policy),
        key().prop_map(DeliveryClass::of_key),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let name = || "[a-z]{1,4}".prop_map(Arc::<str>::from);
    prop_oneof![
        (name(), value()).prop_map(|tag| Change::Tag(Tag::from(tag))),
        name().prop_map(Change::Untag),
        (name(), value()).prop_map(|(name, value)| Change::Join(name, value)),
        (name(), value()).prop_map(|(name, value)| Change::Leave(name, value)),
        name().prop_map(Change::Close),
    ]
}

fn steps<T: Clone>(items: Vec<T>) -> Vec<DiffStep<T>> {
    let first = items[0].clone();
    vec![
        DiffStep::Reset(items.clone()),
        DiffStep::Entered(first.clone()),
        DiffStep::Left(first),
        DiffStep::Begin(items.clone()),
        DiffStep::More(items.clone()),
        DiffStep::End(items),
    ]
}

fn node(value: u64) -> NodeId {
    NodeId::new(value).expect("it is not zero")
}

proptest! {
    #[test]
    fn a_frame_record_arrives_as_it_was_sent(
        target in target(),
        class in class(),
        except in vec((1..u64::MAX, any::<u64>()), 0..4),
        code in any::<u16>(),
        body in vec(any::<u8>(), 0..64),
    ) {
        let except: Vec<_> = except
            .into_iter()
            .map(|(at, peer)| PeerRef { node: node(at), peer: PeerId::new(peer) })
            .collect();
        let mut frame = Frame::new(code, RequestId::new(3), body.into());
        frame.set_class(class.clone());
        let record = FrameRecord::encode(node(7), &target, &except, &frame).unwrap();
        let read = FrameRecord::decode(record.body).unwrap();
        prop_assert_eq!((read.class, read.target, read.except), (class, target, except));
        prop_assert_eq!(Frame::from(read.message), frame);
    }

    #[test]
    fn questions_and_answers_arrive_as_they_were_sent(
        (id, millis, limit) in any::<(u64, u32, u32)>(),
        (target, names) in (target(), vec("[a-z]{0,5}", 0..4)),
        members in vec((any::<u64>(), vec(("[a-z]{1,4}", value()), 0..3)), 0..4),
        (count, truncated, reason) in (any::<u64>(), any::<bool>(), ".{0,8}"),
        change in change(),
    ) {
        let tags = names.iter().map(|name| name.as_str().into()).collect();
        let timeout = std::time::Duration::from_millis(millis.into());
        let questions = [
            Question::Count(target.clone()),
            Question::Change { target: target.clone(), change },
            Question::List { target, tags, limit },
        ];
        for question in questions {
            let ask = NodeAsk { id, timeout, question };
            prop_assert_eq!(NodeAsk::decode(ask.encode().body), Ok(ask));
        }
        let members = members
            .into_iter()
            .map(|(peer, tags)| Member {
                peer: PeerId::new(peer),
                tags: tags.into_iter().map(Tag::from).collect(),
            })
            .collect();
        for content in [
            AnswerContent::Count(count),
            AnswerContent::Members { members, truncated },
            AnswerContent::Unsupported,
            AnswerContent::Refused(reason.into()),
        ] {
            let answer = NodeAnswer { id, content };
            prop_assert_eq!(NodeAnswer::decode(answer.encode().body), Ok(answer));
        }
    }

    #[test]
    fn a_call_arrives_as_it_was_made_and_so_does_each_response(
        (id, millis, peer) in any::<(u64, u32, u64)>(),
        target in target(),
        roster in vec(any::<u64>().prop_map(PeerId::new), 0..9),
        (limit, reason) in (any::<u64>(), ".{0,8}"),
        body in vec(any::<u8>(), 0..64),
    ) {
        let timeout = std::time::Duration::from_millis(millis.into());
        let frame = Frame::new(200, RequestId::new(3), body.into());
        let record = NodeCall::encode(id, timeout, &target, &[], &frame).unwrap();
        let call = NodeCall::decode(record.body).unwrap();
        prop_assert_eq!((call.id, call.timeout, call.target), (id, timeout, target));
        prop_assert_eq!(Frame::from(call.message.clone()), frame.clone());
        for peers in [Ok(roster), Err(reason.as_str().into())] {
            let roster = Roster { id, peers };
            prop_assert_eq!(Roster::decode(roster.encode().body), Ok(roster));
        }
        prop_assert_eq!(Cancel::decode(Cancel { id }.encode().body), Ok(Cancel { id }));
        for outcome in [
            PeerOutcome::Reply(call.message),
            PeerOutcome::TimedOut,
            PeerOutcome::Left,
            PeerOutcome::Full,
            PeerOutcome::Congested { limit },
            PeerOutcome::Failed(reason.into()),
        ] {
            let reply = PeerReply { id, peer: PeerId::new(peer), outcome };
            let read = PeerReply::decode(reply.clone().encode().body).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{reply:?}"));
        }
    }

    #[test]
    fn a_watch_and_its_changes_arrive_as_they_were_sent(
        (id, epoch, version) in any::<(u64, u32, u64)>(),
        target in target(),
        names in vec("[a-z]{0,5}", 0..4),
        members in vec((any::<u64>(), vec(("[a-z]{1,4}", value()), 0..3)), 1..4),
        keys in vec(value(), 1..4),
    ) {
        let names: Vec<Arc<str>> = names.iter().map(|name| (&**name).into()).collect();
        for form in [WatchForm::Members(names), WatchForm::Groups("user".into())] {
            let watch = NodeWatch { id, epoch, target: target.clone(), form };
            prop_assert_eq!(NodeWatch::decode(watch.encode().unwrap().body), Ok(watch));
        }
        prop_assert_eq!(Unwatch::decode(Unwatch { id }.encode().body), Ok(Unwatch { id }));
        let members: Vec<_> = members
            .into_iter()
            .map(|(peer, tags)| Member {
                peer: PeerId::new(peer),
                tags: tags.into_iter().map(Tag::from).collect(),
            })
            .collect();
        let groups: Vec<_> = keys.into_iter().map(crate::tags::Group::of).collect();
        for content in [
            DiffContent::Members(steps(members)),
            DiffContent::Groups(steps(groups)),
            DiffContent::Refused("busy".into()),
            DiffContent::Ended,
        ] {
            let diff = WatchDiff { id, epoch, version, content };
            prop_assert_eq!(WatchDiff::decode(diff.encode().body), Ok(diff));
        }
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent(
        head in (1..u64::MAX, any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>()),
        records in vec((any::<u8>(), vec(any::<u8>(), 0..20)), 0..20),
    ) {
        let (origin, to, first, all_before, clock) = head;
        let (origin, to) = (node(origin), NodeId::new(to));
        let head = BatchHead { version: 1, origin, to, first, all_before, clock };
        let records: Vec<_> = records
            .into_iter()
            .map(|(kind, body)| Record { kind: RecordKind::of_number(kind), body: body.into() })
            .collect();
        let mut writer = BatchWriter::new(&head);
        records.iter().for_each(|record| assert!(writer.add(record)));
        let batch = Batch::read(writer.finish()).unwrap();
        prop_assert_eq!(batch.head(), &head);
        let read: Result<Vec<_>, _> = batch.collect();
        prop_assert_eq!(read, Ok(records));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut bytes = BytesMut::from(&bytes[..]);
        if magic && bytes.len() > 4 {
            bytes[..3].copy_from_slice(b"VC\x01");
        }
        let bytes = bytes.freeze();
        if let Ok(batch) = Batch::read(bytes.clone()) {
            let _ = batch.count();
        }
        let _ = FrameRecord::decode(bytes.clone());
        let _ = NodeAsk::decode(bytes.clone());
        let _ = NodeAnswer::decode(bytes.clone());
        let _ = NodeStatus::decode(bytes.clone());
        let _ = NodeCall::decode(bytes.clone());
        let _ = Roster::decode(bytes.clone());
        let _ = PeerReply::decode(bytes.clone());
        let _ = Cancel::decode(bytes.clone());
        let _ = NodeWatch::decode(bytes.clone());
        let _ = Unwatch::decode(bytes.clone());
        let _ = WatchDiff::decode(bytes.clone());
        let _ = Part::decode(bytes.clone());
        let _ = Target::decode(&mut bytes.clone());
        let _ = TagValue::decode(&mut bytes.clone());
    }

    #[test]
    fn a_name_of_a_peer_is_read_back(at in 1..u64::MAX, peer in any::<u64>()) {
        let name = PeerRef { node: node(at), peer: PeerId::new(peer) };
        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }
}

#[test]
fn ids_of_peers_stay_on_their_node() {
    let (ada, room) = (peers([PeerId::new(1)]), tag("room").is("lobby"));
    for (target, elsewhere) in [
        (ada.clone(), nobody()),
        (!&ada, all()),
        (&room & &ada, nobody()),
        (&room | &ada, room.clone()),
        (&room & !&ada, room.clone()),
        (!(&room | &ada), !&room),
    ] {
        assert_eq!(target.elsewhere(), elsewhere, "{target}");
    }
    // Towards one node, ids name its own peers.
    let mut bytes = BytesMut::new();
    (&room & &ada).encode(&mut bytes);
    assert_eq!(Target::decode(&mut bytes.freeze()), Ok(&room & &ada));
    // A key with the id of a peer names the node, too.
    let key = |origin| {
        let mut frame = Frame::new(200, RequestId::new(1), Bytes::new());
        frame.set_class(DeliveryClass::of_key(PeerId::new(3)));
        let record = FrameRecord::encode(node(origin), &all(), &[], &frame).unwrap();
        FrameRecord::decode(record.body).unwrap().class.key().cloned()
    };
    assert_eq!(key(7), Some(Key::from((7_u64, PeerId::new(3)))));
    assert_ne!(key(7), key(8));
}

#[test]
fn limits_hold_in_both_directions() {
    let frame = Frame::from(Message::from_parts(200, RequestId::new(1), Bytes::new()));
    let encode =
        |target: &Target, except: &[_]| FrameRecord::encode(node(7), target, except, &frame);
    let except = vec![PeerRef { node: node(1), peer: PeerId::new(1) }; 65];
    assert!(encode(&all(), &except[..64]).is_ok());
    assert!(matches!(encode(&all(), &except), Err(WireError::TooLong { limit: 64, .. })));
    let names = (0..20_000).fold(nobody(), |target, at| target | tag(format!("{at}")));
    assert!(matches!(encode(&names, &[]), Err(WireError::TooLong { limit: 65_536, .. })));
    // Texts that a node keeps for each call, peer or watch.
    let text: Arc<str> = "é".repeat(10_000).into();
    let refused =
        WatchDiff { id: 1, epoch: 1, version: 1, content: DiffContent::Refused(Arc::clone(&text)) };
    let refused = WatchDiff::decode(refused.encode().body).unwrap().content;
    assert!(matches!(refused, DiffContent::Refused(it) if it.len() == 1_024));
    let outcome = PeerOutcome::Failed(Arc::clone(&text));
    let failed = PeerReply { id: 1, peer: PeerId::new(1), outcome }.encode();
    let failed = PeerReply::decode(failed.body).unwrap().outcome;
    assert!(matches!(failed, PeerOutcome::Failed(it) if it.len() == 1_024));
    let roster = Roster { id: 1, peers: Err(Arc::clone(&text)) }.encode();
    assert_eq!(Roster::decode(roster.body).unwrap().peers.unwrap_err().len(), 1_024);
    let answer = NodeAnswer { id: 1, content: AnswerContent::Refused(Arc::clone(&text)) };
    let answer = NodeAnswer::decode(answer.encode().body).unwrap().content;
    assert!(matches!(answer, AnswerContent::Refused(it) if it.len() == 1_024));
    for form in [WatchForm::Members(vec![Arc::clone(&text)]), WatchForm::Groups(text)] {
        let watch = NodeWatch { id: 1, epoch: 1, target: all(), form }.encode().unwrap();
        let name = match NodeWatch::decode(watch.body).unwrap().form {
            WatchForm::Members(names) => names[0].clone(),
            WatchForm::Groups(name) => name,
        };
        assert!((129..=132).contains(&name.len()), "no tag has it: {}", name.len());
    }
    // Levels that no target has.
    let mut deep = Bytes::from([6_u8; 1_000].as_slice().to_vec());
    assert!(matches!(Target::decode(&mut deep), Err(WireError::Target(_))));
    // A number of items that the bytes do not have.
    let mut many = Bytes::from_static(&[7, 0xff, 0xff, 0xff, 0xff, 0]);
    assert_eq!(Target::decode(&mut many), Err(WireError::Truncated));
}

#[test]
fn a_stream_tells_gaps_and_duplicates() {
    let mut stream = InStream::new();
    let steps = [10, 11, 11, 5, 14, 15].map(|sequence| stream.receive(sequence));
    use Received::{After, Duplicate, Next};
    assert_eq!(steps, [Next, Next, Duplicate, Duplicate, After { missed: 2 }, Next]);
    assert_eq!((stream.catch_up(15), stream.catch_up(18), stream.catch_up(4)), (0, 3, 0));
    assert_eq!(stream.receive(18), Duplicate);
    assert_eq!((stream.received(), stream.missed(), stream.last()), (4, 5, Some(18)));
    let mut fresh = InStream::new();
    assert_eq!((fresh.catch_up(7), fresh.receive(7), fresh.receive(8)), (0, Duplicate, Next));
}
