//! `help`: the manual that is in the binary, and that it is true.

use crate::common::{Ended, bin, finish, skip};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn help(words: &[&str]) -> Ended {
    finish(Command::new(bin()).arg("help").args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
fn topics_and_pages() {
    let topics = help(&[]);
    assert_eq!((topics.code, topics.stderr.as_str()), (0, ""));
    let text = topics.text();
    let known: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    for topic in &known {
        let page = help(&[topic]);
        assert_eq!((page.code, page.stderr.as_str()), (0, ""), "{topic}");
        assert!(page.text().to_lowercase().starts_with(&format!("# {topic}\n")), "{topic}");
    }
    let none = help(&["music"]);
    let want = format!("nomad-driver-exec2: help: no topic \"music\"; there are: {}\n", known.join(", "));
    assert_eq!((none.code, none.text(), none.stderr), (125, String::new(), want));
}

/// What is to be audited is not more than a reviewer is told, nor much less.
#[test]
fn the_audited_core_is_as_small_as_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("src").exists() {
        return skip("the_audited_core_is_as_small_as_it_says", "no sources here");
    }
    let said = |text: &str| {
        let (before, _) = text.split_once(" lines without tests").unwrap();
        before.rsplit(' ').next().unwrap().replace(',', "").parse::<usize>().unwrap()
    };
    let bound = said(&help(&["security"]).text());
    assert_eq!(said(&help(&["architecture"]).text()), bound);
    let lines: usize = ["sys", "launch", "init"].map(|room| lines(&root.join("src").join(room))).iter().sum();
    assert!(
        lines < bound && lines + 200 > bound,
        "src/sys, src/launch and src/init have {lines} lines; security and architecture say fewer than {bound}"
    );
}

/// Of all Rust files below a directory, each up to its tests.
fn lines(directory: &Path) -> usize {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => lines(&path),
        Some(extension) if extension == "rs" => read_to_string(&path).unwrap().lines().take_while(|line| *line != "#[cfg(test)]").count(),
        _ => 0,
    };
    paths.map(of).sum()
}

/// Each file that the page names is there, and in it the functions of the table's second column.
#[test]
fn the_architecture_is_the_codes() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    if !source.exists() {
        return skip("the_architecture_is_the_codes", "no sources here");
    }
    let page = help(&["architecture"]).text();
    let named = page.split(|c: char| !(c.is_ascii_alphanumeric() || "_./".contains(c))).filter(|word| word.ends_with(".rs"));
    let files: Vec<&str> = named.filter(|word| word.contains('/') && !word.contains("PART")).collect();
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        assert!(source.join(file).exists() || source.join("..").join(file).exists(), "{file}");
    }
    let (_, way) = page.split_once("\n| where | function | what |\n").unwrap();
    let rows: Vec<Vec<&str>> = way.lines().skip(1).map_while(|line| Some(line.strip_prefix("| ")?.split(" | ").collect())).collect();
    assert!(rows.len() > 15, "{rows:?}");
    for row in rows {
        let text = read_to_string(source.join(row[0])).unwrap();
        for function in row[1].split(", ") {
            assert!(text.contains(&format!("fn {function}(")) || text.contains(&format!("fn {function}<")), "{}: {function}", row[0]);
        }
    }
}

/// Each test that the promises name is there, and every line of them names one.
#[test]
fn what_is_promised_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("src").exists() {
        return skip("what_is_promised_has_a_test", "no sources here");
    }
    let page = help(&["security"]).text();
    let (_, promises) = page.split_once("\n## What is promised to whom\n").unwrap();
    let (promises, _) = promises.split_once("\n## ").unwrap();
    let in_go: String = texts(&root.join("tests/nomad"), "go");
    let rows =
        promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| a task as ") && !line.starts_with("| before "));
    let mut count = 0;
    for row in rows {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|word| word.starts_with("Test") || word.contains("::")).collect();
        assert!(!names.is_empty(), "no test: {row}");
        count += names.len();
        for name in names {
            let is_there = match name.split_once("::") {
                None => in_go.contains(&format!("\nfunc {name}(")),
                Some(("policy", file)) => {
                    read_to_string(root.join(format!("src/policy/{file}.rs"))).unwrap_or_default().contains("#[test]")
                }
                Some((file, test)) => ["library", "program"].iter().any(|suite| {
                    let text = read_to_string(root.join(format!("tests/{suite}/{file}.rs"))).unwrap_or_default();
                    text.contains("#[test]") && (test == "*" || text.contains(&format!("\nfn {test}()")))
                }),
            };
            assert!(is_there, "{name}");
        }
    }
    assert!(count > 40, "{count}");
}

/// What README shows is what is there: the files that it and the manual link to, and the job.
#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("src").exists() {
        return skip("links_lead_somewhere", "no sources here");
    }
    let readme = read_to_string(root.join("README.md")).unwrap();
    for (number, text) in readme.split("](").skip(1).enumerate() {
        let target = text.split(')').next().unwrap();
        assert!(target.starts_with("https://") || root.join(target).exists(), "link {number}: {target}");
    }
    for topic in help(&[]).text().lines().filter_map(|line| line.split(' ').next()) {
        assert!(readme.contains(&format!("`{topic}`")) || readme.contains(&format!("[{topic}](src/manual/{topic}.md)")), "{topic}");
        for named in help(&[topic]).text().split("`help ").skip(1) {
            let named = named.split('`').next().unwrap();
            assert!(named == "TOPIC" || help(&[named]).code == 0, "{topic} names help {named}");
        }
    }
    let job = read_to_string(root.join("tests/examples/hello.hcl")).unwrap();
    let (comment, job) = job.split_once("\njob ").unwrap();
    assert!(comment.starts_with("# ") && readme.contains(&format!("\njob {job}```")), "README shows another hello.hcl");
}

/// Of all files of that kind in a directory.
fn texts(directory: &Path, extension: &str) -> String {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).map(|path| read_to_string(path).unwrap()).collect()
}
