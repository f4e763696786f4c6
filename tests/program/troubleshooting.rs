//! The manual's page of errors, compared with the source: no message is missing there.

use crate::common::skip;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Files whose words are in other pages, or say themselves what to do; steps of the start, which the page has by errno; assembly.
const ELSEWHERE: [&str; 7] =
    ["cli/manual.rs", "plugin/schema.rs", "policy/filter_table.rs", "policy/readiness/", "policy/step.rs", "sys/syscall.rs", "init/"];

/// What stands before the name of a step that the kernel can refuse.
const STEPS: [&str; 3] = [".at(", ".at_path(", "io("];

/// What is no error, and is read where nothing is wrong.
const NO_ERRORS: &[&str] = &[
    // run -v.
    "started: after {} us{}",
    "user: {} (uid {}, gid {}, groups [{}]), {capabilities}, no_new_privs{filter}",
    "namespaces: pid, ipc, mount{network}; fresh /proc{root}{protected}",
    ", a system call filter",
    "; read-only but for what is unveiled for writing",
    "; a root of its own",
    // check and --version.
    "nomad agent, pid {pid}",
    "\n{} passed, {} warned, {} failed\n",
    "closed to the tasks' users",
    "root's alone, or not there yet",
    // Read, not written.
    "Max open files",
    "localhost ip6-localhost ip6-loopback",
    "rpc error: code = Unknown desc = ",
    // help seccomp.
    "{:<24} {:<16} every task: calls newer than this table; libraries fall back\n",
];

/// The string literals of Rust source, up to its tests; `\` joins lines as it does there. Not those of bytes, of C, and of steps.
fn literals(source: &str) -> Vec<String> {
    let source: String = source.lines().take_while(|line| *line != "#[cfg(test)]").flat_map(|line| [line, "\n"]).collect();
    let bytes: Vec<char> = source.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            '/' if bytes.get(at + 1) == Some(&'/') => at += bytes[at..].iter().take_while(|c| **c != '\n').count(),
            // A character, not a lifetime.
            '\'' if bytes.get(at + 1) == Some(&'\\') => at += 3 + bytes[at + 3..].iter().take_while(|c| **c != '\'').count() + 1,
            '\'' if bytes.get(at + 2) == Some(&'\'') => at += 3,
            'r' if bytes.get(at + 1) == Some(&'"') => at += 2 + bytes[at + 2..].iter().take_while(|c| **c != '"').count() + 1,
            '"' => {
                let (text, end) = string(&bytes, at + 1);
                let before: String = bytes[at.saturating_sub(20)..at].iter().collect();
                if !before.ends_with(['b', 'c']) && !STEPS.iter().any(|step| before.trim_end().ends_with(step)) {
                    found.push(text);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

/// From behind its opening quote: what it says, and where it ends.
fn string(bytes: &[char], mut at: usize) -> (String, usize) {
    let mut text = String::new();
    loop {
        match (bytes[at], bytes.get(at + 1)) {
            ('"', _) => return (text, at + 1),
            ('\\', Some('\n')) => at += 2 + bytes[at + 2..].iter().take_while(|c| c.is_whitespace()).count(),
            ('\\', Some('n')) => (text.push('\n'), at += 2).1,
            ('\\', Some(escaped)) => (text.push(*escaped), at += 2).1,
            (other, _) => (text.push(other), at += 1).1,
        }
    }
}

/// What stands between the places for values.
fn fragments(message: &str) -> Vec<String> {
    let (mut all, mut depth) = (vec![String::new()], 0);
    let message = message.replace("{{", "\u{1}").replace("}}", "\u{2}");
    for letter in message.chars() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                all.push(String::new());
            }
            _ if depth > 0 => {}
            '\u{1}' => all.last_mut().unwrap().push('{'),
            '\u{2}' => all.last_mut().unwrap().push('}'),
            _ => all.last_mut().unwrap().push(letter),
        }
    }
    // The program's name stands before what it says at a shell.
    let bare = |part: &String| part.replace("nomad-driver-exec2: ", "").trim_matches([' ', ':', ';', ',', '\n']).to_owned();
    all.iter().map(bare).filter(|part| part.chars().any(char::is_alphabetic)).collect()
}

/// Three words and more: less is a name, a path or a step.
fn is_message(literal: &str) -> bool {
    let text = fragments(literal).join(" ");
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1);
    words.count() >= 3 && literal.contains(' ') && literal.matches('\n').count() < 3
}

/// Whether the fragments follow each other in a row.
fn is_in(row: &str, fragments: &[String]) -> bool {
    let mut rest = row;
    fragments.iter().all(|fragment| match rest.split_once(fragment.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn each_message_has_a_row() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    if !source.exists() {
        return skip("each_message_has_a_row", "no sources here");
    }
    let page = read_to_string(source.join("manual/troubleshooting.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let (mut count, mut missing, mut exempt) = (0, Vec::new(), NO_ERRORS.to_vec());
    for path in sources(&source) {
        let name = path.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".rs") || ELSEWHERE.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        for message in literals(&read_to_string(&path).unwrap()).iter().filter(|literal| is_message(literal)) {
            count += 1;
            exempt.retain(|other| other != message);
            let fragments = fragments(message);
            if !NO_ERRORS.contains(&message.as_str()) && !rows.iter().any(|row| is_in(row, &fragments)) {
                missing.push(format!("{name}: {message}"));
            }
        }
    }
    assert!(missing.is_empty(), "no row of src/manual/troubleshooting.md has these of {count}:\n{}", missing.join("\n"));
    assert!(count > 250, "{count} messages were found");
    assert!(exempt.is_empty(), "NO_ERRORS has what nothing says: {exempt:?}");
}

#[test]
fn messages_are_found_as_they_stand() {
    let source = "// \"no comment of three words\"\nlet a = 'x'; f::<'a>('\\'', \"a {b:?} c \\\n     d\").at(\n\"nor a step here\"); g(b\"not this one\", r\"nor that one\");\n#[cfg(test)]\n\"none\"";
    assert_eq!(literals(source), ["a {b:?} c d"]);
    assert_eq!(fragments("{0:?}: it is {{no}} size {x}"), ["it is {no} size"]);
    assert!(is_message("it is missing") && !is_message("is missing") && !is_message("it-is-missing-here"));
    assert!(is_in("| `OPTION: it is PATH, not there` |", &fragments("{}: it is {}, not there")));
    assert!(!is_in("| `not there: it is` |", &fragments("it is {} not there")));
}
