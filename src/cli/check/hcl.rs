//! The language of an agent's configuration files: HCL in its first version, which knows values and no expressions, or JSON. Nomad reads job
//! files by the second version, and agents' by the first.

use serde_json::{Map, Number, Value};

/// Deeper blocks than any agent has are refused before they use up the stack.
const DEPTH_MAX: usize = 32;

/// A file's values. A block is a list of what stands in it, since it may come again: `a "b" { c = 1 }` is `{"a": [{"b": [{"c": 1}]}]}`. An error
/// names the line.
pub fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e| e.to_string());
    }
    let mut reader = Reader { rest: text, depth: 0 };
    let read = reader.items().and_then(|items| match reader.rest {
        "" => Ok(Value::Object(items)),
        _ => Err("a } that closes nothing".into()),
    });
    read.map_err(|reason| format!("line {}: {reason}", text[..text.len() - reader.rest.len()].matches('\n').count() + 1))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// What stands in a block, up to its end.
    fn items(&mut self) -> Result<Map<String, Value>, String> {
        let mut items = Map::new();
        loop {
            self.skip(true)?;
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return Ok(items);
            }
            let mut keys = vec![self.key()?];
            loop {
                self.skip(false)?;
                if self.eat("=") || self.rest.starts_with('{') {
                    break;
                }
                keys.push(self.key()?);
            }
            self.skip(false)?;
            let mut value = self.value()?;
            while let Some(key) = keys.pop() {
                if value.is_object() {
                    value = Value::Array(vec![value]);
                }
                if keys.is_empty() {
                    insert(&mut items, key, value);
                    break;
                }
                value = Value::Object(Map::from_iter([(key, value)]));
            }
        }
    }

    fn key(&mut self) -> Result<String, String> {
        if self.rest.starts_with('"') {
            return self.string();
        }
        match self.word() {
            "" => Err(format!("a name was expected, not {}", self.next())),
            word => Ok(word.to_owned()),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.rest.chars().next() {
            Some('"') => self.string().map(Value::String),
            Some('<') => self.heredoc().map(Value::String),
            Some('{') => self.nested("{", "}", |reader| reader.items().map(Value::Object)),
            Some('[') => self.nested("[", "]", |reader| reader.list().map(Value::Array)),
            _ => {
                let before = self.rest;
                let sign = if self.eat("-") { "-" } else { "" };
                let value = scalar(sign, self.word());
                if value.is_none() {
                    self.rest = before;
                }
                value.ok_or_else(|| format!("a value was expected, not {}", self.next()))
            }
        }
    }

    fn nested(&mut self, open: &str, close: &str, read: fn(&mut Self) -> Result<Value, String>) -> Result<Value, String> {
        self.eat(open);
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} blocks in one another"));
        }
        let value = read(self)?;
        self.depth -= 1;
        match self.eat(close) {
            true => Ok(value),
            false => Err(format!("a {close} was expected, not {}", self.next())),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        loop {
            self.skip(false)?;
            if self.rest.is_empty() || self.rest.starts_with(']') {
                return Ok(values);
            }
            values.push(self.value()?);
            self.skip(false)?;
            if !self.eat(",") && !self.rest.starts_with(']') {
                return Err(format!("a comma or ] was expected, not {}", self.next()));
            }
        }
    }

    /// What is in `${...}` stands as it is, with quotes of its own.
    fn string(&mut self) -> Result<String, String> {
        let body = self.rest.strip_prefix('"').unwrap_or(self.rest);
        let (mut text, mut braces) = (String::new(), 0);
        let mut letters = body.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' if braces == 0 => {
                    self.rest = &body[at + 1..];
                    return Ok(text);
                }
                '\n' if braces == 0 => break,
                '\\' if braces == 0 => {
                    let escape = letters.next().map(|(_, letter)| letter);
                    text.push(escaped(escape, &mut || letters.next().map(|(_, letter)| letter)).ok_or("an unknown escape in a string")?);
                    continue;
                }
                '{' if braces > 0 || text.ends_with('$') => braces += 1,
                '}' if braces > 0 => braces -= 1,
                _ => {}
            }
            text.push(letter);
        }
        Err("a string that does not end in its line".into())
    }

    /// `<<WORD`, lines, WORD; with `<<-` each line is taken in by what the last one is.
    fn heredoc(&mut self) -> Result<String, String> {
        let (head, mut body) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let word = head.trim_end().strip_prefix("<<").ok_or_else(|| format!("a value was expected, not {}", self.next()))?;
        let (word, is_indented) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
        let mut lines = Vec::new();
        while !body.is_empty() {
            let (line, rest) = body.split_once('\n').unwrap_or((body, ""));
            if line.trim() == word && !word.is_empty() {
                self.rest = &body[line.len()..];
                let indent = if is_indented { line.len() - line.trim_start().len() } else { 0 };
                let taken = |line: &&'a str| line.get(..indent).is_none_or(|head| head.trim().is_empty());
                let indent = if lines.iter().all(taken) { indent } else { 0 };
                return Ok(lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect());
            }
            lines.push(line);
            body = rest;
        }
        Err(format!("<<{word} without its end"))
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && !"_-.+".contains(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// White space and comments; between items a comma too.
    fn skip(&mut self, commas: bool) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start_matches(|letter: char| letter.is_whitespace() || commas && letter == ',');
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            } else if self.rest.starts_with("/*") {
                let (_, rest) = self.rest.split_once("*/").ok_or("a comment without its end")?;
                self.rest = rest;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&self) -> String {
        self.rest.chars().next().map_or("the end".into(), |letter| letter.to_string())
    }
}

/// A block joins those of its name; any other value is the last one.
fn insert(items: &mut Map<String, Value>, key: String, value: Value) {
    let is_block = |values: &[Value]| values.first().is_some_and(Value::is_object);
    match (items.get_mut(&key), value) {
        (Some(Value::Array(before)), Value::Array(more)) if is_block(before) && is_block(&more) => before.extend(more),
        (_, value) => drop(items.insert(key, value)),
    }
}

fn scalar(sign: &str, word: &str) -> Option<Value> {
    let (digits, radix) = match word.get(..2) {
        Some("0x" | "0X") => (&word[2..], 16),
        _ if word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit()) => (&word[1..], 8),
        _ => (word, 10),
    };
    match word {
        "true" | "false" if sign.is_empty() => Some(Value::Bool(word == "true")),
        _ if !word.starts_with(|letter: char| letter.is_ascii_digit()) => None,
        _ => match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
            Ok(number) => Some(number.into()),
            Err(_) => format!("{sign}{word}").parse().ok().and_then(Number::from_f64).map(Value::Number),
        },
    }
}

fn escaped(escape: Option<char>, next: &mut dyn FnMut() -> Option<char>) -> Option<char> {
    let mut hex = |digits: usize| {
        let number = (0..digits).try_fold(0, |number, _| Some(number * 16 + next()?.to_digit(16)?));
        number.and_then(char::from_u32)
    };
    Some(match escape? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        letter @ ('"' | '\\') => letter,
        'u' => return hex(4),
        'U' => return hex(8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values() {
        let text = r#"
            a = 1 # one
            "b" = -2 // two
            c = 0x10, d = 010, e = 1.5
            /* of
               several lines */
            f = true g = "x\ty \"z\" \u00e9"
            h = "${env["HOME"]}/x"
            i = ["r:/srv", "x",]
            j = [1, [], { k = 2 }]
        "#;
        let want = json!({
            "a": 1, "b": -2, "c": 16, "d": 8, "e": 1.5, "f": true, "g": "x\ty \"z\" é", "h": "${env[\"HOME\"]}/x",
            "i": ["r:/srv", "x"], "j": [1, [], {"k": 2}],
        });
        assert_eq!(parse(text), Ok(want));
        assert_eq!(parse(""), Ok(json!({})));
        assert_eq!(parse("# nothing"), Ok(json!({})));
    }

    #[test]
    fn blocks() {
        let text = "plugin \"a\" {\n config { x = 1 }\n}\nplugin \"b\" { }\nclient { options = { y = \"z\" } }\nz = 1\nz = 2\n";
        let want = json!({
            "plugin": [{"a": [{"config": [{"x": 1}]}]}, {"b": [{}]}],
            "client": [{"options": [{"y": "z"}]}],
            "z": 2,
        });
        assert_eq!(parse(text), Ok(want));
    }

    #[test]
    fn texts_of_several_lines() {
        assert_eq!(parse("a = <<EOF\n x\n  y\nEOF\nb = 1"), Ok(json!({"a": " x\n  y\n", "b": 1})));
        assert_eq!(parse("a = <<-E\n  x\n   y\n  E\n"), Ok(json!({"a": "x\n y\n"})));
        assert_eq!(parse("a = <<-E\n x\n  E\n"), Ok(json!({"a": " x\n"})));
    }

    #[test]
    fn json_is_read_too() {
        assert_eq!(parse(" {\"a\": [1]}"), Ok(json!({"a": [1]})));
        assert!(parse("{").unwrap_err().contains("line 1"));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, want) in [
            ("a = ", "line 1: a value was expected, not the end"),
            ("a = 1\nb = }", "line 2: a value was expected, not }"),
            ("a = 1\n}\n", "line 2: a } that closes nothing"),
            ("a {\n b = 1\n", "line 3: a } was expected, not the end"),
            ("a = [1 2]", "line 1: a comma or ] was expected, not 2"),
            ("a = \"x\nb\"", "line 1: a string that does not end in its line"),
            ("a = \"\\q\"", "line 1: an unknown escape in a string"),
            ("/* x", "line 1: a comment without its end"),
            ("a = <<E\nx", "line 1: <<E without its end"),
            ("a = nothing", "line 1: a value was expected, not n"),
            ("= 1", "line 1: a name was expected, not ="),
        ] {
            assert_eq!(parse(text), Err(want.to_string()), "{text:?}");
        }
        assert!(parse(&"a { ".repeat(5000)).unwrap_err().contains("more than 32 blocks"));
        assert!(parse(&format!("a = {}", "[".repeat(5000))).unwrap_err().contains("more than 32 blocks"));
    }

    /// The agent of the end-to-end tests is one that Nomad reads.
    #[test]
    fn a_whole_agent() {
        let agent = parse(include_str!("../../../tests/e2e/agent.hcl")).unwrap();
        assert_eq!(agent["plugin"][0]["nomad-driver-exec2"][0]["config"][0]["unveil_by_task"], json!(true));
        assert_eq!(agent["client"][0]["options"][0]["driver.allowlist"], json!("exec2"));
        assert_eq!(agent["data_dir"], json!("/var/lib/nomad/data"));
    }
}
