//! Target `cluster_batch`: bytes of another node, read as a batch and as each kind of record.

use bytes::Bytes;
use veltix_core::Frame;
use veltix_core::cluster::{
    Assembly, Batch, BatchWriter, Cancel, FrameRecord, NodeAnswer, NodeAsk, NodeCall, NodeId,
    NodeStatus, Part, PeerReply, Question, Record, RecordKind, Roster,
};

use super::reference;

/// If set in the first byte, the bytes become one record of a batch. The rest of this byte is its kind.
const ONE_RECORD: u8 = 0x80;

/// If set too, the end of the record becomes a frame with the right checksum, which no mutation would achieve.
const FRAMED: u8 = 0x40;

/// Limits the records in parts.
const LARGEST: usize = 1 << 20;

/// Reads a batch. Each record that is read is the same after another round trip. The first byte selects the
/// content of the batch, the second one the place of the frame in a record.
pub fn cluster_batch(data: &[u8]) {
    let Some((&[mode, cut], rest)) = data.split_first_chunk::<2>() else { return };
    if mode & ONE_RECORD == 0 {
        batch(Bytes::copy_from_slice(rest));
        return;
    }
    let mut body = rest.to_vec();
    if mode & FRAMED != 0 {
        let at = usize::from(cut) * body.len() / 256;
        let framed = reference::write(0, 200, 7, &body[at..]);
        body.truncate(at);
        body.extend_from_slice(&framed);
    }
    let kind = mode & 0x3f;
    let head = [&b"VC\x01\0"[..], &[7; 36], &[0, 1, kind]].concat();
    batch([&head[..], &(body.len() as u32).to_be_bytes(), &body].concat().into());
}

fn batch(bytes: Bytes) {
    let length = bytes.len();
    let Ok(batch) = Batch::read(bytes) else { return };
    let (head, records) = (*batch.head(), batch.records());
    let (mut writer, mut read, mut total) = (BatchWriter::new(&head), 0, 0);
    let (mut assembly, mut parts, mut is_whole) = (Assembly::default(), 0, true);
    for next in batch.clone() {
        read += 1;
        let Ok(next) = next else {
            is_whole = false;
            continue;
        };
        total += next.body.len();
        assert!(total <= length, "records share the memory of their batch");
        assert!(writer.add(&next));
        record(&next);
        if let (RecordKind::Part, Ok(part)) = (next.kind, Part::decode(next.body)) {
            parts += part.bytes.len();
            let added = assembly.add(head.first, &part, LARGEST);
            assert!(assembly.len() <= parts.min(LARGEST), "memory grows with what arrives");
            if let Ok(Some(whole)) = added {
                assert!(whole.body.len() == part.total as usize && assembly.is_empty());
                record(&whole);
            }
        }
    }
    assert!(if is_whole { read == records } else { read <= records });
    if is_whole {
        let again = Batch::read(writer.finish()).expect("what was written can be read");
        assert_eq!((again.head(), again.records()), (&head, records));
        let both =
            again.zip(batch).map(|(one, other)| (one.expect("again"), other.expect("again")));
        both.for_each(|(one, other)| assert_eq!(one, other));
    }
}

/// Reads a record by its kind.
fn record(Record { kind, body }: &Record) {
    let body = body.clone();
    match kind {
        RecordKind::Frame => {
            let Ok(read) = FrameRecord::decode(body) else { return };
            let mut frame = Frame::from(read.message.clone());
            frame.set_class(read.class.clone());
            let again =
                FrameRecord::encode(NodeId::of_random(7), &read.target, &read.except, &frame);
            let again = FrameRecord::decode(again.expect("it is within the limits").body);
            let again = again.expect("what was written can be read");
            assert_eq!((again.target, again.except), (read.target, read.except));
            assert_eq!(again.class.is_default(), read.class.is_default());
            assert_eq!(again.message.body(), read.message.body());
        }
        RecordKind::Call => {
            let Ok(read) = NodeCall::decode(body) else { return };
            let frame = Frame::from(read.message.clone());
            let again = NodeCall::encode(read.id, read.timeout, &read.target, &read.except, &frame);
            let again = NodeCall::decode(again.expect("it is within the limits").body);
            assert_eq!(format!("{:?}", again.expect("it can be read")), format!("{read:?}"));
        }
        RecordKind::Part => same(body, Part::decode, |part| Part::encode(part).body),
        RecordKind::Hello | RecordKind::Heartbeat => {
            same(body, NodeStatus::decode, NodeStatus::encode);
        }
        // No node writes a question that it does not know.
        RecordKind::Ask
            if matches!(
                NodeAsk::decode(body.clone()),
                Ok(NodeAsk { question: Question::Unknown(_), .. })
            ) => {}
        RecordKind::Ask => same(body, NodeAsk::decode, |ask| NodeAsk::encode(ask).body),
        RecordKind::Answer => same(body, NodeAnswer::decode, |it| NodeAnswer::encode(it).body),
        RecordKind::Roster => same(body, Roster::decode, |roster| Roster::encode(roster).body),
        RecordKind::Reply => {
            let Ok(read) = PeerReply::decode(body) else { return };
            let again = PeerReply::decode(read.clone().encode().body);
            assert_eq!(format!("{:?}", again.expect("it can be read")), format!("{read:?}"));
        }
        RecordKind::Cancel => same(body, Cancel::decode, |cancel| cancel.encode().body),
        _ => {}
    }
}

/// Checks that a value that was read is the same after another round trip.
fn same<T: PartialEq + std::fmt::Debug, E>(
    body: Bytes,
    decode: fn(Bytes) -> Result<T, E>,
    encode: impl Fn(&T) -> Bytes,
) {
    let Ok(read) = decode(body) else { return };
    let again = decode(encode(&read)).ok().expect("what was written can be read");
    assert_eq!(again, read);
}
