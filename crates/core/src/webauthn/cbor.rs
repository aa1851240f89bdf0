//! CBOR in the canonical form of CTAP2, the only form that is accepted (WebAuthn §2.3 recommends that).
//!
//! Heads are as short as possible, lengths definite, keys of maps sorted and unique, and there are no tags. So the same value has
//! one encoding, and no second parser can read another value from it.

use minicbor::Decoder;
use minicbor::data::Type;

/// Maximum nesting of maps and arrays (CTAP 2.1 §8).
const MAX_DEPTH: u8 = 4;

/// Reads one item after the other. Every method returns `None` if the next item is another one or not canonical.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, decoder: Decoder::new(bytes) }
    }

    /// An integer of 64 bits.
    pub(super) fn int(&mut self) -> Option<i64> {
        let start = self.decoder.position();
        let value = self.decoder.i64().ok()?;
        self.has_short_head(start, 0, if value < 0 { !value } else { value }.cast_unsigned())?;
        Some(value)
    }

    pub(super) fn bytes(&mut self) -> Option<&'b [u8]> {
        let start = self.decoder.position();
        let value = self.decoder.bytes().ok()?;
        self.has_short_head(start, value.len(), u64::try_from(value.len()).ok()?)?;
        Some(value)
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        let start = self.decoder.position();
        let value = self.decoder.str().ok()?;
        self.has_short_head(start, value.len(), u64::try_from(value.len()).ok()?)?;
        Some(value)
    }

    /// The number of entries of a map, which follow.
    pub(super) fn map(&mut self) -> Option<u64> {
        let start = self.decoder.position();
        let entries = self.decoder.map().ok()??;
        self.has_short_head(start, 0, entries)?;
        Some(entries)
    }

    /// A whole map, not decoded.
    pub(super) fn raw_map(&mut self) -> Option<&'b [u8]> {
        let start = self.decoder.position();
        if self.decoder.datatype().ok()? != Type::Map {
            return None;
        }
        self.skip(MAX_DEPTH)?;
        self.bytes.get(start..self.decoder.position())
    }

    /// The key, which must be the next item.
    pub(super) fn int_key(&mut self, key: i64) -> Option<()> {
        (self.int()? == key).then_some(())
    }

    /// The key, which must be the next item.
    pub(super) fn text_key(&mut self, key: &str) -> Option<()> {
        (self.text()? == key).then_some(())
    }

    /// `Some` if all bytes have been read.
    pub(super) fn end(&self) -> Option<()> {
        (self.decoder.position() == self.bytes.len()).then_some(())
    }

    fn array(&mut self) -> Option<u64> {
        let start = self.decoder.position();
        let elements = self.decoder.array().ok()??;
        self.has_short_head(start, 0, elements)?;
        Some(elements)
    }

    /// Reads over any item. Every round of its loops consumes a byte or ends, whatever length a head claims.
    fn skip(&mut self, depth: u8) -> Option<()> {
        match self.decoder.datatype().ok()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                self.int().map(drop)
            }
            Type::Bytes => self.bytes().map(drop),
            Type::String => self.text().map(drop),
            // Their heads have one length.
            Type::Bool | Type::Null | Type::Undefined | Type::F16 | Type::F32 | Type::F64 => self.decoder.skip().ok(),
            Type::Array => {
                let depth = depth.checked_sub(1)?;
                for _ in 0..self.array()? {
                    self.skip(depth)?;
                }
                Some(())
            }
            Type::Map => {
                let depth = depth.checked_sub(1)?;
                let mut previous = None;
                for _ in 0..self.map()? {
                    let start = self.decoder.position();
                    self.skip(depth)?;
                    let key = self.bytes.get(start..self.decoder.position())?;
                    // With short heads, this sorts by type and length first, as CTAP2 does.
                    if previous.is_some_and(|previous| previous >= key) {
                        return None;
                    }
                    previous = Some(key);
                    self.skip(depth)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// `Some` if the item from `start` has the shortest head for its argument. The rest of its bytes is content.
    fn has_short_head(&self, start: usize, content: usize, argument: u64) -> Option<()> {
        let head = self.decoder.position().checked_sub(start)?.checked_sub(content)?;
        (head == minicbor::len(argument)).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::Reader;

    fn is_canonical(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        reader.raw_map() == Some(bytes) && reader.end().is_some()
    }

    fn encode(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_canonical_map_is_read() {
        for good in [
            &b"\xa0"[..],
            b"\xa1\x61a\x01",
            b"\xa2\x01\x02\x03\x26",
            b"\xa2\x01\x02\x20\x02",
            b"\xa2\x17\x00\x18\x18\x00",
            b"\xa2\x61b\x00\x62aa\x00",
            b"\xa3\x61a\xf4\x61b\xf5\x61c\xf6",
            b"\xa2\x61a\x80\x61b\x82\x01\x43abc",
            b"\xa1\x61a\xa1\x61a\xa1\x61a\xa1\x61a\x01",
            b"\xa1\x61a\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61a\xf9\x00\x00",
            b"\xa1\x61a\xfb\x00\x00\x00\x00\x00\x00\x00\x00",
        ] {
            assert!(is_canonical(good), "{good:02x?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (bad, why) in [
            (&b""[..], "nothing"),
            (b"\x01", "no map"),
            (b"\x80", "an array"),
            (b"\xa1\x01", "an entry is missing"),
            (b"\xa0\xa0", "trailing bytes"),
            (b"\xb8\x00", "a map with a long head"),
            (b"\xbf\xff", "a map of indefinite length"),
            (b"\xa1\x18\x01\x00", "an integer with a long head"),
            (b"\xa1\x38\x01\x00", "a negative integer with a long head"),
            (b"\xa1\x19\x00\xff\x00", "an integer with a long head"),
            (b"\xa1\x78\x01a\x00", "a text with a long head"),
            (b"\xa1\x58\x01a\x00", "bytes with a long head"),
            (b"\xa1\x61a\x98\x00", "an array with a long head"),
            (b"\xa1\x61a\x9f\xff", "an array of indefinite length"),
            (b"\xa1\x7f\x61a\xff\x00", "a text of indefinite length"),
            (b"\xa1\x5f\x41a\xff\x00", "bytes of indefinite length"),
            (b"\xa1\x61\xff\x00", "a text that is not UTF-8"),
            (b"\xa2\x61a\x00\x61a\x00", "a repeated key"),
            (b"\xa2\x61b\x00\x61a\x00", "keys in another order"),
            (b"\xa2\x62aa\x00\x61b\x00", "a longer key first"),
            (b"\xa2\x20\x00\x01\x00", "a negative key first"),
            (b"\xa2\x61a\x00\x18\x18\x00", "a key of a higher major type first"),
            (b"\xa1\x61a\xc0\x00", "a tag"),
            (b"\xa1\x61a\xe0", "a simple value"),
            (b"\xa1\x61a\xff", "a break"),
            (b"\xa1\x61a\x1c", "a reserved head"),
            (b"\xa1\x61a\x1b\x80\x00\x00\x00\x00\x00\x00\x00", "an integer of more than 63 bits"),
            (b"\xa1\x61a\xa1\x61a\xa1\x61a\xa1\x61a\xa0", "five maps deep"),
            (b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "a map of 2^64 - 1 entries"),
            (b"\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "an array of 2^64 - 1 elements"),
            (b"\xa1\x61a\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "2^64 - 1 bytes"),
        ] {
            assert!(!is_canonical(bad), "{why}: {bad:02x?}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
            "\\PC{0,30}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(2, 12, 4, |value| prop::collection::vec(value, 0..4).prop_map(Value::Array))
    }

    proptest! {
        #[test]
        fn maps_that_ciborium_writes_in_order_are_read(
            entries in prop::collection::btree_map("[a-z]{0,30}", any_value(), 0..6),
        ) {
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by_key(|(key, _)| key.len());
            let entries: Vec<_> = entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
            let bytes = encode(&Value::Map(entries.clone()));
            prop_assert!(is_canonical(&bytes));
            if entries.len() > 1 {
                let reversed = encode(&Value::Map(entries.into_iter().rev().collect()));
                prop_assert!(!is_canonical(&reversed));
            }
        }

        #[test]
        fn what_is_accepted_has_one_encoding(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for bytes in [bytes.clone(), [b"\xa1\x61a".as_slice(), &bytes].concat()] {
                if is_canonical(&bytes) {
                    let value: Value = ciborium::from_reader(bytes.as_slice()).unwrap();
                    prop_assert_eq!(encode(&value).len(), bytes.len());
                }
            }
        }
    }
}
