//! The manual's pages, in the binary: a minimal host has no other.

use crate::policy::filter;

struct Page {
    topic: &'static str,
    /// What it is about, in a few words.
    about: &'static str,
    text: fn() -> String,
}

const PAGES: [Page; 8] = [
    Page {
        topic: "architecture",
        about: "how the code is built, and where a change goes",
        text: || include_str!("../manual/architecture.md").into(),
    },
    Page {
        topic: "migration",
        about: "from the Go driver, exec, raw_exec and podman to this one, and back",
        text: || include_str!("../manual/migration.md").into(),
    },
    Page {
        topic: "performance",
        about: "what a task costs, and how that is measured",
        text: || include_str!("../manual/performance.md").into(),
    },
    Page {
        topic: "programs",
        about: "what programs need to have unveiled, and how to find it",
        text: || include_str!("../manual/programs.md").into(),
    },
    Page {
        topic: "reference",
        about: "every option and its default, the default paths, what a task sees",
        text: || include_str!("../manual/reference.md").into(),
    },
    Page { topic: "seccomp", about: "which system calls are refused to whom, with which errno, and why", text: seccomp },
    Page {
        topic: "security",
        about: "who is kept from what, by which test, on which kernel; known limits",
        text: || include_str!("../manual/security.md").into(),
    },
    Page {
        topic: "troubleshooting",
        about: "what each error means, and what to do",
        text: || include_str!("../manual/troubleshooting.md").into(),
    },
];

fn seccomp() -> String {
    format!(
        "# Seccomp\n\nWhat the system call filter refuses. A call that is named with (some) is refused by its arguments.\n\n{}",
        filter::explain()
    )
}

/// A page's text. The error is one line that says which topics there are.
pub fn page(topic: &str) -> Result<String, String> {
    PAGES.iter().find(|page| page.topic == topic).map(|page| (page.text)()).ok_or_else(|| {
        let topics: Vec<&str> = PAGES.iter().map(|page| page.topic).collect();
        format!("help: no topic {topic:?}; there are: {}", topics.join(", "))
    })
}

/// A line for each topic.
pub fn topics() -> String {
    PAGES.iter().map(|Page { topic, about, .. }| format!("{topic:16}{about}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_fit_a_terminal() {
        for Page { topic, text, .. } in PAGES.iter().filter(|page| page.topic != "seccomp") {
            for (number, line) in text().lines().enumerate().filter(|(_, line)| !line.starts_with("| ")) {
                assert!(line.chars().count() <= 130 && !line.contains('\t'), "{topic}, line {}: {line}", number + 1);
            }
        }
    }

    #[test]
    fn each_row_of_the_migration_names_a_job() {
        let jobs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs");
        if !jobs.exists() {
            return println!("skipped: each_row_of_the_migration_names_a_job: no sources here");
        }
        let (text, mut rows) = (page("migration").unwrap(), 0);
        for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| there")) {
            let named = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
            for job in named.split(", ") {
                assert!(jobs.join(format!("{job}.hcl")).exists(), "no job {job:?}: {row}");
            }
            rows += 1;
        }
        assert!(rows > 40, "{rows} rows");
    }

    #[test]
    fn topics_are_listed_and_found() {
        assert!(topics().starts_with("architecture    how "));
        for Page { topic, .. } in PAGES {
            let text = page(topic).unwrap();
            assert!(text.to_lowercase().starts_with(&format!("# {topic}\n\n")) && text.ends_with('\n'), "{topic}");
        }
        assert_eq!(page("run"), Err(format!("help: no topic \"run\"; there are: {}", PAGES.map(|page| page.topic).join(", "))));
    }
}
