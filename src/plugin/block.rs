//! One configuration block as it arrives: its values are taken option by option, and a refusal names the option.

use super::msgpack::Value;
use crate::policy::abi::Abi;
use crate::policy::capability::Capabilities;
use crate::policy::forbid::Ceilings;
use crate::policy::grant;
use crate::policy::limits::pids_in_range;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a block can't be honoured.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OptionError {
    #[error("malformed msgpack: {0}")]
    Malformed(String),
    #[error("the configuration is no block of options: {0}")]
    NoBlock(String),
    #[error("{option}: {reason}")]
    Option { option: String, reason: String },
}

pub fn refuse(option: impl Into<String>, reason: impl Into<String>) -> OptionError {
    OptionError::Option { option: option.into(), reason: reason.into() }
}

/// The list, or the element of it that is at fault.
fn refuse_element(option: &str, (index, reason): (Option<usize>, String)) -> OptionError {
    match index {
        Some(index) => refuse(format!("{option}[{index}]"), reason),
        None => refuse(option, reason),
    }
}

/// A block's values by option. Keys that no option claims are passed over, as the Go driver does.
pub struct Block(BTreeMap<String, Value>);

impl Block {
    pub fn parse(msgpack: &[u8]) -> Result<Block, OptionError> {
        match Value::parse(msgpack).map_err(OptionError::Malformed)? {
            Value::Nil => Ok(Block(BTreeMap::new())),
            Value::Map(values) => Ok(Block(values)),
            other => Err(OptionError::NoBlock(other.to_string())),
        }
    }

    fn take(&mut self, option: &str) -> Value {
        self.0.remove(option).unwrap_or(Value::Nil)
    }

    pub fn boolean(&mut self, option: &str) -> Result<Option<bool>, OptionError> {
        self.take(option).boolean().map_err(|reason| refuse(option, reason))
    }

    pub fn number(&mut self, option: &str) -> Result<Option<i64>, OptionError> {
        self.take(option).number().map_err(|reason| refuse(option, reason))
    }

    pub fn text(&mut self, option: &str) -> Result<Option<String>, OptionError> {
        self.take(option).text().map_err(|reason| refuse(option, reason))
    }

    pub fn texts(&mut self, option: &str) -> Result<Vec<String>, OptionError> {
        self.take(option).texts().map_err(|error| refuse_element(option, error))
    }

    pub fn numbers(&mut self, option: &str) -> Result<Option<Vec<i64>>, OptionError> {
        self.take(option).numbers().map_err(|error| refuse_element(option, error))
    }

    pub fn named_texts(&mut self, option: &str) -> Result<BTreeMap<String, String>, OptionError> {
        self.take(option).named_texts().map_err(|(name, reason)| match name {
            Some(name) => refuse(format!("{option}: {name}"), reason),
            None => refuse(option, reason),
        })
    }

    /// A list of `mode:path` and words, each of which must be well-formed.
    pub fn unveil(&mut self, option: &str) -> Result<Vec<String>, OptionError> {
        let entries = self.texts(option)?;
        for (index, entry) in entries.iter().enumerate() {
            grant::written(std::slice::from_ref(entry), "").map_err(|error| refuse(format!("{option}[{index}]"), error.to_string()))?;
        }
        Ok(entries)
    }

    /// `None` where nothing is said. An empty list is not that: it is no capability.
    pub fn capabilities(&mut self, option: &str) -> Result<Option<Capabilities>, OptionError> {
        if let None | Some(Value::Nil) = self.0.get(option) {
            return Ok(None);
        }
        let names = self.texts(option)?;
        Capabilities::parse(&names).map(Some).map_err(|error| refuse(option, error.to_string()))
    }

    pub fn ceilings(&mut self, option: &str) -> Result<Option<Ceilings>, OptionError> {
        if let None | Some(Value::Nil) = self.0.get(option) {
            return Ok(None);
        }
        let words = self.texts(option)?;
        Ceilings::parse(&words).map(Some).map_err(|element| refuse_element(option, element))
    }

    /// A text that `parse` reads, or says why not.
    pub fn parsed<T>(&mut self, option: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, OptionError> {
        self.text(option)?.map(|text| parse(&text)).transpose().map_err(|reason| refuse(option, reason))
    }

    /// 0 for no limit, or enough for a task.
    pub fn pids(&mut self, option: &str) -> Result<Option<u64>, OptionError> {
        match self.number(option)? {
            None => Ok(None),
            Some(0) => Ok(Some(0)),
            Some(number) => pids_in_range(number).map(Some).map_err(|reason| refuse(option, reason)),
        }
    }

    pub fn abi(&mut self, option: &str) -> Result<Option<u32>, OptionError> {
        let Some(number) = self.number(option)? else { return Ok(None) };
        match u32::try_from(number) {
            Ok(abi) if (1..=Abi::MAX.0).contains(&abi) => Ok(Some(abi)),
            _ => Err(refuse(option, format!("{number} is not a Landlock ABI that this driver knows: 1 to {}", Abi::MAX.0))),
        }
    }

    pub fn directory(&mut self, option: &str) -> Result<Option<PathBuf>, OptionError> {
        let Some(path) = self.text(option)? else { return Ok(None) };
        if !Path::new(&path).is_absolute() || path.contains('\0') {
            return Err(refuse(option, format!("{path:?} is not an absolute path")));
        }
        Ok(Some(path.into()))
    }
}
