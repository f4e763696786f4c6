//! The command block: what init needs to execute a command, in one piece, laid out as its `Block` (message.rs) says.

use super::command::Command;
use super::message::{Block, Limit};
use std::os::unix::ffi::OsStrExt;

const HEAD: usize = size_of::<Block>();
const LIMIT: usize = size_of::<Limit>();

/// For a command, whose offsets init turns into addresses.
pub fn lay_out(Command { paths, argv, env, work_dir, ulimits }: &Command) -> Vec<u8> {
    let word = size_of::<u64>();
    let arrays = HEAD;
    let words = paths.len() + 1 + argv.len() + 1 + env.len() + 1;
    let mut offsets = Vec::with_capacity(words);
    let mut strings = Vec::with_capacity(4096);
    let limits = arrays + words * word;
    let first = limits + ulimits.len() * LIMIT;
    let mut push = |parts: &[&[u8]]| {
        let at = (first + strings.len()) as u64;
        parts.iter().for_each(|part| strings.extend_from_slice(part));
        strings.push(0);
        at
    };
    let directory = push(&[work_dir.as_bytes()]);
    offsets.extend(paths.iter().map(|path| push(&[path.as_bytes()])).chain([0]));
    offsets.extend(argv.iter().map(|arg| push(&[arg.as_bytes()])).chain([0]));
    offsets.extend(env.iter().map(|(name, value)| push(&[name.as_bytes(), b"=", value.as_bytes()])).chain([0]));

    let argv_at = arrays + (paths.len() + 1) * word;
    let envp_at = argv_at + (argv.len() + 1) * word;
    let length = first + strings.len();
    let counts = [words as u64, limits as u64, ulimits.len() as u64];
    let head = [length as u64, directory, arrays as u64, argv_at as u64, envp_at as u64];
    let mut block = Vec::with_capacity(length);
    let limits = ulimits.iter().flat_map(|limit| [u64::from(limit.resource), limit.soft, limit.hard]);
    head.into_iter().chain(counts).chain(offsets).chain(limits).for_each(|value| block.extend_from_slice(&value.to_ne_bytes()));
    block.extend_from_slice(&strings);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ulimit::Ulimit;

    fn word(block: &[u8], at: usize) -> usize {
        u64::from_ne_bytes(block[at..at + 8].try_into().unwrap()) as usize
    }

    fn string(block: &[u8], at: usize) -> &str {
        std::str::from_utf8(block[at..].split(|byte| *byte == 0).next().unwrap()).unwrap()
    }

    fn strings(block: &[u8], mut at: usize) -> Vec<&str> {
        let mut found = Vec::new();
        while word(block, at) != 0 {
            found.push(string(block, word(block, at)));
            at += 8;
        }
        found
    }

    #[test]
    fn offsets_lead_to_the_strings() {
        let own = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        let env = vec![("A".into(), "1".into()), ("EMPTY".into(), "".into())];
        let (paths, argv) = (own(&["/bin/x", "/usr/bin/x"]), own(&["x", "-v", ""]));
        let command = Command { paths, argv, env, work_dir: "/work".into(), ulimits: Vec::new() };
        let block = lay_out(&command);
        assert_eq!(word(&block, 0), block.len());
        assert_eq!(string(&block, word(&block, 8)), "/work");
        assert_eq!(strings(&block, word(&block, 16)), ["/bin/x", "/usr/bin/x"]);
        assert_eq!(strings(&block, word(&block, 24)), ["x", "-v", ""]);
        assert_eq!(strings(&block, word(&block, 32)), ["A=1", "EMPTY="]);
        assert_eq!(word(&block, 40), 3 + 4 + 3);
        assert_eq!((word(&block, 48), word(&block, 56)), (64 + 10 * 8, 0));
        let ulimits = [Ulimit { resource: 7, soft: 8, hard: 9 }, Ulimit { resource: 0, soft: 1, hard: u64::MAX }];
        let block = lay_out(&Command { paths: own(&["/x"]), argv: own(&["x"]), ulimits: ulimits.into(), ..command.clone() });
        let limits = word(&block, 48);
        assert_eq!(std::array::from_fn(|i| word(&block, limits + i * 8)), [7, 8, 9, 0, 1, usize::MAX]);
        assert_eq!((word(&block, 56), string(&block, limits + 48), strings(&block, word(&block, 32))), (2, "/work", vec!["A=1", "EMPTY="]));
        assert_eq!(
            strings(&lay_out(&Command { paths: own(&["/x"]), argv: own(&["x"]), ..Command::default() }), 80 + 16),
            Vec::<&str>::new()
        );
    }
}
