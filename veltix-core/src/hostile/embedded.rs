//! R4: bytes inside a declared frame are never taken for frames.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const LIMIT: usize = 4096;

/// Is the code of the frame inside a body. No decoded message may have it.
const INNER: u16 = 666;

/// Describes the fault of a frame that contains other frames.
#[derive(Clone, Copy, Debug)]
enum Outer {
    Good,
    Damaged,
    Oversize,
    TooShort,
    TooLong,
    Headless,
}

fn outer() -> impl Strategy<Value = Outer> {
    use Outer::{Damaged, Good, Headless, Oversize, TooLong, TooShort};
    prop::sample::select(&[Good, Damaged, Oversize, TooShort, TooLong, Headless][..])
}

impl Outer {
    /// Returns the bytes of the frame. Its body has `margin` bytes and then the inner frame.
    fn around(self, margin: usize, inner: &BytesMut) -> BytesMut {
        let body = [&b"VXV"[..margin], inner].concat();
        let mut bytes = frame(200, 1, &body);
        let length = body.len() as u32;
        match self {
            Self::Good => {}
            Self::Damaged => bytes[9] ^= 1,
            Self::Oversize => bytes[5] = 1,
            // The frame ends at the start of the inner frame.
            Self::TooShort => bytes[5..9].copy_from_slice(&(margin as u32).to_be_bytes()),
            Self::TooLong => bytes[5..9].copy_from_slice(&(length + 7).to_be_bytes()),
            Self::Headless => bytes[0] = b'W',
        }
        bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn r04_frames_inside_a_body_are_never_seen(
        outers in vec((outer(), 0_usize..4), 1..4),
        inner in vec(any::<u8>(), 0..24),
        cuts in vec(any::<Index>(), 0..5),
    ) {
        let inner = frame(INNER, 7, &inner);
        let mut stream = BytesMut::new();
        for (outer, margin) in &outers {
            stream.unsplit(outer.around(*margin, &inner));
        }
        // The magic after the last frame begins one more frame, which is never completed.
        stream.extend_from_slice(b"VX");
        let cuts = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        let (messages, end) = read(LIMIT, cut(&stream, cuts));
        let good = outers.iter().take_while(|(outer, _)| matches!(outer, Outer::Good)).count();
        prop_assert_eq!(messages.len(), good);
        prop_assert!(messages.iter().all(|message| message.code() == 200));
        let Some((bad, _)) = outers.get(good) else {
            prop_assert_eq!(end, Err(ProtocolError::Truncated { received: 2, expected: 15 }));
            return Ok(());
        };
        let as_it_should = match bad {
            Outer::Good => false,
            Outer::Oversize => matches!(end, Err(ProtocolError::Oversize { .. })),
            Outer::Headless => matches!(end, Err(ProtocolError::BadMagic { .. })),
            Outer::Damaged | Outer::TooShort => {
                matches!(end, Err(ProtocolError::ChecksumMismatch { .. }))
            }
            // The rest of the last frame never arrives.
            Outer::TooLong => matches!(
                end,
                Err(ProtocolError::ChecksumMismatch { .. } | ProtocolError::Truncated { .. })
            ),
        };
        prop_assert!(as_it_should, "{bad:?}: {end:?}");
    }
}
