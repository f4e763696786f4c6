//! The host's users and groups, as far as one task names them.

use super::error::TaskError;
use super::userdb::{Database, SOCKET};
use crate::error::At;
use crate::policy::passwd::{is_group, is_user};
use crate::policy::user::User;
use std::path::Path;

/// In the form of /etc/passwd and /etc/group.
#[derive(Default)]
pub struct Accounts {
    pub passwd: String,
    pub group: String,
}

impl Accounts {
    /// The two files, where `user` or `groups` need them, and what systemd's user database has of the names that are not there.
    pub fn of(user: &User, groups: &[&str]) -> Result<Accounts, TaskError> {
        // Comments in them may be of any encoding.
        let read = |path: &str| match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            other => other.map(|text| String::from_utf8_lossy(&text).into_owned()).at_path("read", path),
        };
        let mut accounts = Accounts::default();
        if !matches!(user, User::Dynamic(_)) {
            accounts.passwd = read("/etc/passwd")?;
        }
        if !accounts.passwd.is_empty() || !groups.is_empty() {
            accounts.group = read("/etc/group")?;
        }
        accounts.complete(user, groups, Path::new(SOCKET))?;
        Ok(accounts)
    }

    fn complete(&mut self, user: &User, groups: &[&str], database: &Path) -> Result<(), TaskError> {
        let failed =
            |what: String| move |reason| TaskError::Node(format!("{what}: not in the host's files, and {}: {reason}", database.display()));
        let systemd = Database::new(database);
        if let User::Name(name) = user
            && !is_user(&self.passwd, name)
            && let Some((passwd, memberships)) = systemd.user(name).map_err(failed(format!("user {name:?}")))?
        {
            append(&mut self.passwd, &passwd);
            append(&mut self.group, &memberships);
        }
        for name in groups.iter().filter(|name| name.bytes().any(|byte| !byte.is_ascii_digit())) {
            if !is_group(&self.group, name)
                && let Some(line) = systemd.group(name).map_err(failed(format!("group {name:?}")))?
            {
                append(&mut self.group, &line);
            }
        }
        Ok(())
    }
}

fn append(text: &mut String, lines: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(lines);
}
