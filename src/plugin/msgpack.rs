//! msgpack as Nomad's client encodes a configuration block, read into a tree whose types are checked afterwards: so that an error can name
//! the option and the value.

use std::collections::BTreeMap;
use std::fmt;

use rmp_serde::Deserializer;
use serde::de::{Deserialize, Error, MapAccess, SeqAccess, Visitor};

/// Deeper values than any schema of ours has are refused before they use up the stack.
const DEPTH_MAX: usize = 32;
/// Characters of a value that an error repeats.
const SHOWN_MAX: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// The length of binary data, or of text that is not UTF-8: no option takes either.
    Bytes(usize),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Reads one value that takes up all of `bytes`; no bytes at all are null.
    pub fn parse(bytes: &[u8]) -> Result<Value, String> {
        if bytes.is_empty() {
            return Ok(Value::Nil);
        }
        let mut decoder = Deserializer::new(bytes);
        decoder.set_max_depth(DEPTH_MAX);
        let value = Value::deserialize(&mut decoder).map_err(|error| error.to_string())?;
        match decoder.get_ref().len() {
            0 => Ok(value),
            rest => Err(format!("{rest} bytes follow the value")),
        }
    }

    pub fn boolean(self) -> Result<Option<bool>, String> {
        match self {
            Value::Nil => Ok(None),
            Value::Bool(value) => Ok(Some(value)),
            other => Err(other.is_not("a boolean")),
        }
    }

    /// A whole number in any of the forms it may arrive in.
    pub fn number(self) -> Result<Option<i64>, String> {
        let value = match &self {
            Value::Nil => return Ok(None),
            Value::Int(value) => i64::try_from(*value).ok(),
            // Up to 2^53 a float says exactly which integer is meant.
            Value::Float(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => Some(*value as i64),
            Value::Float(_) => None,
            other => return Err(other.is_not("a whole number")),
        };
        value.map(Some).ok_or_else(|| self.is_not("a whole number of 64 bits"))
    }

    pub fn text(self) -> Result<Option<String>, String> {
        match self {
            Value::Nil => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            other => Err(other.is_not("a string")),
        }
    }

    /// A list of strings; null is the empty one. An error comes with the index of the element at fault, if it is one.
    pub fn texts(self) -> Result<Vec<String>, (Option<usize>, String)> {
        match self {
            Value::Nil => Ok(Vec::new()),
            Value::List(values) => {
                let text = |(index, value): (usize, Value)| match value {
                    Value::Text(value) => Ok(value),
                    other => Err((Some(index), other.is_not("a string"))),
                };
                values.into_iter().enumerate().map(text).collect()
            }
            other => Err((None, other.is_not("a list of strings"))),
        }
    }

    /// A list of whole numbers; an error as of `texts`.
    pub fn numbers(self) -> Result<Option<Vec<i64>>, (Option<usize>, String)> {
        match self {
            Value::Nil => Ok(None),
            Value::List(values) => {
                let number = |(index, value): (usize, Value)| match value.number() {
                    Ok(Some(number)) => Ok(number),
                    Ok(None) => Err((Some(index), Value::Nil.is_not("a whole number"))),
                    Err(reason) => Err((Some(index), reason)),
                };
                values.into_iter().enumerate().map(number).collect::<Result<_, _>>().map(Some)
            }
            other => Err((None, other.is_not("a list of whole numbers"))),
        }
    }

    /// A map of names to strings; null is the empty one. An error comes with the name at fault, if it is one.
    pub fn named_texts(self) -> Result<BTreeMap<String, String>, (Option<String>, String)> {
        match self {
            Value::Nil => Ok(BTreeMap::new()),
            Value::Map(values) => {
                let text = |(name, value): (String, Value)| match value {
                    Value::Text(value) => Ok((name, value)),
                    other => Err((Some(name), other.is_not("a string"))),
                };
                values.into_iter().map(text).collect()
            }
            other => Err((None, other.is_not("a map of strings"))),
        }
    }

    fn is_not(&self, expected: &str) -> String {
        format!("{self} is not {expected}")
    }
}

/// The value as an error shows it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => write!(f, "null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Text(value) if value.len() > SHOWN_MAX => write!(f, "{:?}…", &value[..value.floor_char_boundary(SHOWN_MAX)]),
            Value::Text(value) => write!(f, "{value:?}"),
            Value::Bytes(len) => write!(f, "binary data ({len} bytes)"),
            Value::List(values) => write!(f, "a list of {}", values.len()),
            Value::Map(values) => write!(f, "a map of {}", values.len()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(decoder: D) -> Result<Value, D::Error> {
        decoder.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a configuration value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.len()))
    }

    // Neither takes the announced length for granted: it may be a lie.
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = elements.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<Value, Value>()? {
            let Value::Text(key) = key else {
                return Err(A::Error::custom(key.is_not("a string, as the keys of a map are")));
            };
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Value {
        Value::parse(bytes).unwrap()
    }

    #[test]
    fn numbers_in_every_form_are_numbers() {
        let table: [(&[u8], i64); 12] = [
            (&[0x05], 5),
            (&[0xe0], -32),
            (&[0xcc, 0xff], 255),
            (&[0xcd, 0x01, 0x00], 256),
            (&[0xce, 0, 0, 0, 1], 1),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 9], 9),
            (&[0xd0, 0x80], -128),
            (&[0xd1, 0xff, 0xfe], -2),
            (&[0xd2, 0xff, 0xff, 0xff, 0xff], -1),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
            (&[0xca, 0x40, 0x40, 0, 0], 3),
            (&[0xcb, 0xc0, 0x8f, 0x40, 0, 0, 0, 0, 0], -1000),
        ];
        for (bytes, number) in table {
            assert_eq!(parse(bytes).number(), Ok(Some(number)), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        let table: [(&[u8], &str); 6] = [
            (&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], "1.5 is not a whole number of 64 bits"),
            (&[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0], "18374686479671623680 is not a whole number of 64 bits"),
            (&[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0], "inf is not a whole number of 64 bits"),
            // How cty sends what neither an integer nor a float can hold.
            (b"\xa41e30", "\"1e30\" is not a whole number"),
            (&[0xc3], "true is not a whole number"),
            (&[0x90], "a list of 0 is not a whole number"),
        ];
        for (bytes, reason) in table {
            assert_eq!(parse(bytes).number(), Err(reason.to_owned()));
        }
    }

    #[test]
    fn text_of_every_family() {
        let long = "x".repeat(300);
        let with = |head: &[u8]| parse(&[head, long.as_bytes()].concat()).text();
        assert_eq!(parse(b"\xa3abc").text(), Ok(Some("abc".to_owned())));
        assert_eq!(parse(b"\xd9\x03abc").text(), Ok(Some("abc".to_owned())));
        assert_eq!(with(&[0xda, 0x01, 0x2c]), Ok(Some(long.clone())));
        assert_eq!(with(&[0xdb, 0, 0, 0x01, 0x2c]), Ok(Some(long.clone())));
        assert_eq!(parse(&[0xc0]).text(), Ok(None));
        assert_eq!(parse(b"\xa2\xff\xfe").text(), Err("binary data (2 bytes) is not a string".to_owned()));
        assert_eq!(parse(b"\xc4\x02ab").text(), Err("binary data (2 bytes) is not a string".to_owned()));
        assert!(with(&[0xda, 0x01, 0x2c]).is_ok());
        assert!(parse(&[0xda, 0x01, 0x2c].iter().copied().chain([b'y'; 300]).collect::<Vec<_>>()).boolean().unwrap_err().len() < 100);
    }

    #[test]
    fn lists_of_strings() {
        assert_eq!(parse(b"\x92\xa1a\xa1b").texts(), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(parse(b"\xdc\x00\x01\xa1a").texts(), Ok(vec!["a".to_owned()]));
        assert_eq!(parse(b"\xdd\x00\x00\x00\x00").texts(), Ok(vec![]));
        assert_eq!(parse(&[0xc0]).texts(), Ok(vec![]));
        assert_eq!(parse(b"\x92\xa1a\xc0").texts(), Err((Some(1), "null is not a string".to_owned())));
        assert_eq!(parse(b"\xa1a").texts(), Err((None, "\"a\" is not a list of strings".to_owned())));
    }

    #[test]
    fn malformed_bytes_are_errors() {
        let deep = [0x91; 5000];
        let table: [&[u8]; 9] = [
            &[0xc1],                               // reserved
            &[0x81],                               // a map without its entry
            &[0x81, 0xa1],                         // a string cut short
            &[0x81, 0x01, 0x02],                   // a key that is a number
            &[0xdd, 0xff, 0xff, 0xff, 0xff],       // four billion elements
            &[0xdb, 0xff, 0xff, 0xff, 0xff, 0x00], // four gigabytes of text
            &[0xd4, 0x01, 0x00],                   // an extension
            &[0xc0, 0xc0],                         // two values
            &deep,
        ];
        for bytes in table {
            assert!(Value::parse(bytes).is_err(), "{:02x?}", bytes.get(..6));
        }
        assert_eq!(Value::parse(&[]), Ok(Value::Nil));
    }
}
