//! msgpack values on a byte stream: where one ends, how large it may be, and what it says.
//!
//! It owns the limits of this room. A value's end is found by looking at markers and lengths only, so that a length is
//! checked before any memory is given to it; values that are only passed on are never decoded. Encoding and decoding of
//! single values are rmpv's.

use rmpv::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message, in bytes. Packer's largest are configurations, of some kilobytes.
pub const MAX_MESSAGE: usize = 4 << 20;
/// How deep containers may nest.
pub const MAX_DEPTH: usize = 128;
/// How many values one message may hold: bounds the memory of a decoded message made of one-byte values.
pub const MAX_VALUES: usize = 1 << 18;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MsgpackError {
    /// Longer than [`MAX_MESSAGE`].
    #[error("a message of more than {MAX_MESSAGE} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("a message nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    #[error("a message of more than {MAX_VALUES} values")]
    TooMany,
    /// 0xc1, which msgpack never uses.
    #[error("the byte 0xc1, which is not msgpack")]
    Reserved,
    /// The stream ended inside a value.
    #[error("the stream ended inside a message")]
    Truncated,
    /// A whole value, but with something behind it or not decodable.
    #[error("not one msgpack value: {0}")]
    Invalid(String),
    /// Reading failed.
    #[error("reading failed: {0}")]
    Io(String),
}

/// Finds the end of one value in bytes that arrive piece by piece.
#[derive(Debug, Clone)]
pub struct ValueScanner {
    at: usize,
    values: usize,
    /// How many values each open container still lacks; the lowest stands for the value itself.
    open: Vec<u64>,
}

impl Default for ValueScanner {
    fn default() -> Self {
        Self { at: 0, values: 0, open: vec![1] }
    }
}

impl ValueScanner {
    /// Looks at `input`, which holds all bytes since the value's first. Returns the value's length when it is complete,
    /// `None` when more bytes are needed. An error is final.
    pub fn advance(&mut self, input: &[u8]) -> Result<Option<usize>, MsgpackError> {
        loop {
            while self.open.last() == Some(&0) {
                self.open.pop();
            }
            let Some(missing) = self.open.last_mut() else {
                return Ok(Some(self.at));
            };
            let Some(head) = ValueHead::read(&input[self.at..])? else {
                return Ok(None);
            };
            let end = self.at as u64 + head.length;
            // Each value that is still to come takes at least one byte.
            if end + head.children > MAX_MESSAGE as u64 {
                return Err(MsgpackError::TooLong);
            }
            if end > input.len() as u64 {
                return Ok(None);
            }
            *missing -= 1;
            self.at = end as usize;
            self.values += 1;
            if self.values as u64 + head.children > MAX_VALUES as u64 {
                return Err(MsgpackError::TooMany);
            }
            if head.children > 0 {
                // The lowest entry is not a level.
                if self.open.len() > MAX_DEPTH {
                    return Err(MsgpackError::TooDeep);
                }
                self.open.push(head.children);
            }
        }
    }
}

/// One value's first bytes: how long it is without its children, and how many children follow.
struct ValueHead {
    length: u64,
    children: u64,
}

impl ValueHead {
    /// `None` when the length's own bytes have not all arrived.
    fn read(input: &[u8]) -> Result<Option<Self>, MsgpackError> {
        let Some(&marker) = input.first() else {
            return Ok(None);
        };
        let plain = |length| Some(Self { length, children: 0 });
        // A value whose length is written in `width` bytes, followed by `extra` bytes and then the payload.
        let sized = |width: usize, extra: u64| {
            big_endian(&input[1..], width).map(|length| Self { length: 1 + width as u64 + extra + length, children: 0 })
        };
        let container = |width: usize, each: u64| {
            big_endian(&input[1..], width).map(|count| Self { length: 1 + width as u64, children: count * each })
        };
        Ok(match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => plain(1),
            0x80..=0x8f => Some(Self { length: 1, children: 2 * u64::from(marker & 0x0f) }),
            0x90..=0x9f => Some(Self { length: 1, children: u64::from(marker & 0x0f) }),
            0xa0..=0xbf => plain(1 + u64::from(marker & 0x1f)),
            0xc1 => return Err(MsgpackError::Reserved),
            0xc4 | 0xd9 => sized(1, 0),
            0xc5 | 0xda => sized(2, 0),
            0xc6 | 0xdb => sized(4, 0),
            0xc7 => sized(1, 1),
            0xc8 => sized(2, 1),
            0xc9 => sized(4, 1),
            0xcc | 0xd0 => plain(2),
            0xcd | 0xd1 => plain(3),
            0xca | 0xce | 0xd2 => plain(5),
            0xcb | 0xcf | 0xd3 => plain(9),
            0xd4..=0xd8 => plain(2 + (1 << (marker - 0xd4))),
            0xdc => container(2, 1),
            0xdd => container(4, 1),
            0xde => container(2, 2),
            0xdf => container(4, 2),
        })
    }
}

fn big_endian(input: &[u8], width: usize) -> Option<u64> {
    let bytes = input.get(..width)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Reads values from a stream, each as its raw bytes.
#[derive(Debug)]
pub struct ValueReader<R> {
    stream: R,
    /// What has arrived and was not yet handed out; at most one message and one read more.
    buffer: Vec<u8>,
    chunk: Vec<u8>,
}

impl<R: AsyncRead + Unpin> ValueReader<R> {
    /// A reader at the border of two values.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new(), chunk: vec![0; 8 << 10] }
    }

    /// The next value's bytes; `None` when the stream ended before it. After an error the stream is of no more use.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, MsgpackError> {
        let mut scanner = ValueScanner::default();
        loop {
            if let Some(end) = scanner.advance(&self.buffer)? {
                let rest = self.buffer.split_off(end);
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            match self.stream.read(&mut self.chunk).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(MsgpackError::Truncated),
                Ok(count) => self.buffer.extend_from_slice(&self.chunk[..count]),
                Err(error) => return Err(MsgpackError::Io(error.to_string())),
            }
        }
    }
}

/// Decodes exactly one value.
pub fn decode(raw: &[u8]) -> Result<Value, MsgpackError> {
    match ValueScanner::default().advance(raw)? {
        None => return Err(MsgpackError::Truncated),
        Some(end) if end < raw.len() => {
            return Err(MsgpackError::Invalid(format!("{} bytes behind it", raw.len() - end)));
        }
        Some(_) => {}
    }
    // The scanner has bounded the depth; rmpv counts several steps to a level.
    rmpv::decode::read_value_with_max_depth(&mut &raw[..], 8 * MAX_DEPTH)
        .map_err(|error| MsgpackError::Invalid(error.to_string()))
}

/// Encodes a value in msgpack's shortest form, which Go's decoder accepts for every width.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("writing to memory does not fail");
    out
}

/// A map with text keys, the shape of all Go structs on this wire.
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

/// The value under a key of a map; keys are compared exactly.
pub fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let entries = value.as_map()?;
    entries.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}

/// A value as JSON. Whole floats become integers, since JSON templates send every number as a float.
///
/// Fails, with a text, for what JSON cannot hold: bytes that are no text, keys that are no text, extensions, NaN.
pub fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => Json::from(signed),
            (None, unsigned) => Json::from(unsigned.unwrap_or(u64::MAX)),
        },
        Value::F32(number) => float(f64::from(*number))?,
        Value::F64(number) => float(*number)?,
        Value::String(text) => Json::from(text.as_str().ok_or("text that is not UTF-8")?),
        Value::Binary(bytes) => Json::from(std::str::from_utf8(bytes).map_err(|_| "bytes that are not text")?),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(entries) => Json::Object(entries.iter().map(entry).collect::<Result<_, _>>()?),
        Value::Ext(kind, _) => return Err(format!("an extension of type {kind}")),
    })
}

fn entry((key, value): &(Value, Value)) -> Result<(String, serde_json::Value), String> {
    let key = key.as_str().ok_or("a map's key that is not text")?;
    Ok((key.to_owned(), to_json(value)?))
}

fn float(number: f64) -> Result<serde_json::Value, String> {
    /// Up to here every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Ok(serde_json::Value::from(number as i64));
    }
    serde_json::Number::from_f64(number).map(serde_json::Value::Number).ok_or_else(|| format!("the number {number}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(input: &[u8]) -> Result<Option<usize>, MsgpackError> {
        ValueScanner::default().advance(input)
    }

    #[test]
    fn a_value_ends_where_it_ends() {
        assert_eq!(length(b""), Ok(None));
        assert_eq!(length(b"\xc0\xc0"), Ok(Some(1)));
        assert_eq!(length(b"\xa5hello!"), Ok(Some(6)));
        assert_eq!(length(b"\x82\x01\x90\xa1x"), Ok(None));
        assert_eq!(length(b"\x82\x01\x90\xa1x\xc3\x00"), Ok(Some(6)));
        assert_eq!(length(b"\xd6\x01abcd"), Ok(Some(6)));
        assert_eq!(length(b"\xc7\x02\x05ab"), Ok(Some(5)));
    }

    #[test]
    fn lengths_are_refused_before_their_bytes_arrive() {
        for head in [b"\xc6\xff\xff\xff\xff", b"\xdb\x00\x40\x00\x00", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"]
        {
            assert_eq!(length(head), Err(MsgpackError::TooLong), "{head:x?}");
        }
        assert_eq!(length(b"\xdd\x00\x04\x00\x00"), Err(MsgpackError::TooMany));
        assert_eq!(length(b"\xc1"), Err(MsgpackError::Reserved));
    }

    #[test]
    fn depth_and_count_have_a_limit() {
        let nested = |levels: usize| {
            let mut bytes = vec![0x91; levels];
            bytes.push(0xc0);
            bytes
        };
        assert!(decode(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(decode(&nested(MAX_DEPTH + 1)), Err(MsgpackError::TooDeep));
        let many = [vec![0xdd, 0, 0x03, 0xff, 0xff], vec![0xc0; MAX_VALUES - 1]].concat();
        assert!(decode(&many).is_ok());
        // The same count, spread over small arrays so that no single one is too large.
        let spread = [vec![0xdd, 0, 0x01, 0, 0], [0x94, 0xc0, 0xc0, 0xc0, 0xc0].repeat(1 << 16)].concat();
        assert_eq!(length(&spread), Err(MsgpackError::TooMany));
    }

    #[tokio::test]
    async fn values_are_cut_apart_whatever_the_pieces() {
        let bytes = [&b"\x81\xa1a\x93\x01\x02\x03"[..], b"\xc0", b"\xda\x01\x00", &[b'x'; 256]].concat();
        for piece in [1, 2, 3, 7, 300] {
            let (mut writer, stream) = tokio::io::duplex(piece);
            let sent = bytes.clone();
            tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut writer, &sent).await });
            let mut reader = ValueReader::new(stream);
            assert_eq!(reader.next().await.unwrap().unwrap().len(), 7);
            assert_eq!(reader.next().await.unwrap().unwrap(), b"\xc0");
            assert_eq!(reader.next().await.unwrap().unwrap().len(), 259);
            assert_eq!(reader.next().await, Ok(None));
        }
    }

    #[tokio::test]
    async fn a_cut_message_is_not_a_clean_end() {
        let mut reader = ValueReader::new(&b"\x92\x01"[..]);
        assert_eq!(reader.next().await, Err(MsgpackError::Truncated));
    }

    #[test]
    fn json_keeps_what_packer_sends() {
        let state = b"\x89\xa2ID\xa3i-1\xa1n\x05\xa3big\xd3\x00\x00\x01\x00\x00\x00\x00\x00\xa1f\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1t\xc3\xa1l\x91\xa1a\xa3neg\xf9\xa1m\x81\xa1k\xa1v\xa1x\xc0";
        let json = to_json(&decode(state).unwrap()).unwrap();
        let expected = serde_json::json!({"ID": "i-1", "n": 5, "big": 1_099_511_627_776_i64, "f": 1.5, "t": true,
            "l": ["a"], "neg": -7, "m": {"k": "v"}, "x": null});
        assert_eq!(json, expected);
        assert_eq!(to_json(&Value::F64(3.0)), Ok(serde_json::json!(3)));
        assert!(to_json(&Value::F64(f64::NAN)).is_err());
        assert!(to_json(&Value::Binary(vec![0xff])).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("comparable", |f| !f.is_nan()).prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
            (any::<i8>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(k, b)| Value::Ext(k, b)),
        ];
        leaf.prop_recursive(5, 64, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
                proptest::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_found_and_decoded(value in any_value(), tail in proptest::collection::vec(any::<u8>(), 0..9)) {
            let raw = encode(&value);
            let mut input = raw.clone();
            input.extend(&tail);
            prop_assert_eq!(length(&input), Ok(Some(raw.len())));
            prop_assert_eq!(decode(&raw), Ok(value));
            prop_assert_eq!(length(&raw[..raw.len() - 1]), Ok(None));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(input in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(Some(end)) = length(&input) {
                prop_assert!(end <= input.len());
                let _ = decode(&input[..end]);
            } else {
                prop_assert!(decode(&input).is_err());
            }
        }

        #[test]
        fn pieces_and_whole_agree(input in proptest::collection::vec(any::<u8>(), 1..200)) {
            let mut scanner = ValueScanner::default();
            let mut result = Ok(None);
            for end in 0..=input.len() {
                result = scanner.advance(&input[..end]);
                if result != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(result, length(&input));
        }
    }
}
