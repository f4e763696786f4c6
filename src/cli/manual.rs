//! The manual's pages, in the binary: a minimal host has no other.

/// A page of src/manual.
#[derive(Debug, PartialEq)]
pub struct Page {
    pub topic: &'static str,
    /// What it is about, in a few words.
    about: &'static str,
    pub text: &'static str,
}

const PAGES: &[Page] = &[Page {
    topic: "architecture",
    about: "how the code is built, and where a change goes",
    text: include_str!("../manual/architecture.md"),
}];

/// The error is one line that says which topics there are.
pub fn page(topic: &str) -> Result<&'static Page, String> {
    PAGES.iter().find(|page| page.topic == topic).ok_or_else(|| {
        let topics: Vec<&str> = PAGES.iter().map(|page| page.topic).chain(["seccomp"]).collect();
        format!("help: no topic {topic:?}; there are: {}", topics.join(", "))
    })
}

/// A line for each topic.
pub fn topics() -> String {
    let pages = PAGES.iter().map(|Page { topic, about, .. }| (*topic, *about));
    pages
        .chain([("seccomp", "which system calls are refused to a task, and why")])
        .map(|(topic, about)| format!("{topic:16}{about}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_fit_a_terminal() {
        for Page { topic, text, .. } in PAGES {
            assert!(text.ends_with('\n'), "{topic}");
            for (number, line) in text.lines().enumerate() {
                assert!(line.chars().count() <= 130 && !line.contains('\t'), "{topic}, line {}: {line}", number + 1);
            }
        }
    }

    #[test]
    fn topics_are_listed_and_found() {
        assert!(topics().starts_with("architecture    how "));
        assert!(page("architecture").is_ok_and(|page| page.text.starts_with("# ")));
        assert_eq!(page("run").map(|page| page.topic), Err("help: no topic \"run\"; there are: architecture, seccomp".into()));
    }
}
