//! Whom a task runs as.

use thiserror::Error;

use super::ids::IdRanges;
use super::passwd::{MAX_ID, Passwd, gid_of, groups_of, number};
use super::text::is_decimal;

/// The job's `user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// `nomad-<id>`, which the client picks for a job without a user.
    Dynamic(u32),
    Name(String),
    /// `uid` or `uid:gid`.
    Numeric {
        uid: u32,
        gid: Option<u32>,
    },
}

/// The credentials of a task and what its environment says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, without `gid`.
    pub groups: Vec<u32>,
    pub name: String,
    /// Never empty.
    pub home: String,
}

impl Default for Identity {
    /// Nobody, as every distribution numbers it.
    fn default() -> Identity {
        unlisted(NOBODY, NOBODY, "nobody".into())
    }
}

/// `nobody` and `nogroup`; the kernel's own overflow ids.
pub const NOBODY: u32 = 65534;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UserError {
    #[error("user \"\": user must be set: the client names none, and none is known that it gave this task before")]
    Empty,
    #[error("user {0:?}: uid 0 is root's, and no dynamic user's")]
    DynamicRoot(String),
    #[error("user: {0:?} is remembered as the task's dynamic user, and is none")]
    Remembered(String),
    #[error("user {0:?}: only a numeric uid:gid takes a colon")]
    Colon(String),
    #[error("user {user:?}: {id} is no id; the largest is {max}")]
    OutOfRange { user: String, id: String, max: u32 },
    #[error("user {0:?}: there is no such name in /etc/passwd, nor in systemd's userdb")]
    Unknown(String),
    #[error("{option}: {name:?}: there is no such name in /etc/group, nor in systemd's userdb")]
    UnknownGroup { option: &'static str, name: String },
    #[error("{option}: {id} is no id; the largest is {max}")]
    GroupOutOfRange { option: &'static str, id: String, max: u32 },
    #[error("user {user:?}: the plugin's denied_host_uids holds uid {uid}")]
    DeniedUid { user: String, uid: u32 },
    #[error("user {user:?}: the plugin's denied_host_gids holds gid {gid}")]
    DeniedGid { user: String, gid: u32 },
}

/// Home of users that have none, as the client's dynamic users.
const NO_HOME: &str = "/nonexistent";

/// Of dynamic ids, by the client's own limit (helper/users/dynamic).
const MAX_DYNAMIC: u32 = i32::MAX as u32;

impl User {
    /// Reads a name, `nomad-<id>`, `uid` or `uid:gid`. Digits are always an id, never a name.
    pub fn parse(text: &str) -> Result<User, UserError> {
        let limited = |id: &str, max| {
            let id = id.to_string();
            number(&id, max).ok_or_else(|| UserError::OutOfRange { user: text.into(), id, max })
        };
        if text.is_empty() {
            return Err(UserError::Empty);
        }
        if let Some((uid, gid)) = text.split_once(':') {
            if !is_decimal(uid) || !is_decimal(gid) {
                return Err(UserError::Colon(text.into()));
            }
            return Ok(User::Numeric { uid: limited(uid, MAX_ID)?, gid: Some(limited(gid, MAX_ID)?) });
        }
        if is_decimal(text) {
            return Ok(User::Numeric { uid: limited(text, MAX_ID)?, gid: None });
        }
        match text.strip_prefix("nomad-") {
            Some(id) if is_decimal(id) => match limited(id, MAX_DYNAMIC)? {
                0 => Err(UserError::DynamicRoot(text.into())),
                id => Ok(User::Dynamic(id)),
            },
            _ => Ok(User::Name(text.into())),
        }
    }

    /// Whom a task's user means. A dynamic one that the client gave another number since, or forgot, is the one that is remembered of the
    /// task's first start: its files are that user's. What the task owns tells nothing, since it may give that away.
    pub fn of_task(written: &str, remembered: Option<&str>) -> Result<User, UserError> {
        match (User::parse(written), remembered) {
            (Err(UserError::Empty) | Ok(User::Dynamic(_)), Some(text)) => match User::parse(text) {
                Ok(user @ User::Dynamic(_)) => Ok(user),
                _ => Err(UserError::Remembered(text.into())),
            },
            (user, _) => user,
        }
    }

    /// Looks the user up in the texts of /etc/passwd and /etc/group. Lines that glibc would not take are skipped.
    ///
    /// Only a name has to be found. A dynamic user is not looked up; a uid without an entry, or with a gid beside it, stands
    /// for itself and has no supplementary groups.
    pub fn resolve(&self, passwd: &str, group: &str) -> Result<Identity, UserError> {
        let known = |is_it: &dyn Fn(&Passwd) -> bool| {
            let entry = passwd.lines().filter_map(Passwd::parse).find(is_it)?;
            Some(listed(&entry, group))
        };
        match self {
            User::Dynamic(id) => Ok(unlisted(*id, *id, format!("nomad-{id}"))),
            User::Name(name) => known(&|entry| entry.name == name).ok_or_else(|| UserError::Unknown(name.clone())),
            User::Numeric { uid, gid: Some(gid) } => Ok(unlisted(*uid, *gid, uid.to_string())),
            User::Numeric { uid, gid: None } => {
                Ok(known(&|entry| entry.uid == *uid).unwrap_or_else(|| unlisted(*uid, *uid, uid.to_string())))
            }
        }
    }
}

impl Identity {
    /// With the job's `group` instead of the user's own, and those of `group_add` beside the user's: names of the text of /etc/group, or gids.
    pub fn regrouped(mut self, primary: Option<&str>, add: &[String], group: &str) -> Result<Identity, UserError> {
        if let Some(primary) = primary {
            self.gid = gid("group", primary, group)?;
        }
        for name in add {
            let gid = gid("group_add", name, group)?;
            if !self.groups.contains(&gid) {
                self.groups.push(gid);
            }
        }
        self.groups.retain(|gid| *gid != self.gid);
        Ok(self)
    }

    /// Whether the operator lets tasks have these ids.
    pub fn allowed(&self, denied_uids: &IdRanges, denied_gids: &IdRanges) -> Result<(), UserError> {
        let user = || self.name.clone();
        if denied_uids.contains(self.uid) {
            return Err(UserError::DeniedUid { user: user(), uid: self.uid });
        }
        match std::iter::once(&self.gid).chain(&self.groups).find(|gid| denied_gids.contains(**gid)) {
            Some(gid) => Err(UserError::DeniedGid { user: user(), gid: *gid }),
            None => Ok(()),
        }
    }
}

fn gid(option: &'static str, written: &str, group: &str) -> Result<u32, UserError> {
    if is_decimal(written) {
        return number(written, MAX_ID).ok_or_else(|| UserError::GroupOutOfRange { option, id: written.into(), max: MAX_ID });
    }
    gid_of(group, written).ok_or_else(|| UserError::UnknownGroup { option, name: written.into() })
}

/// Of one that is listed, with the groups that list it.
fn listed(entry: &Passwd<'_>, group: &str) -> Identity {
    let home = if entry.home.is_empty() { NO_HOME } else { entry.home };
    let groups = groups_of(group, entry.name, entry.gid);
    Identity { uid: entry.uid, gid: entry.gid, groups, name: entry.name.into(), home: home.into() }
}

fn unlisted(uid: u32, gid: u32, name: String) -> Identity {
    Identity { uid, gid, groups: Vec::new(), name, home: NO_HOME.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
# bob:x:1:1::/comment:/bin/sh

broken
bob:x:none:1::/broken:/bin/sh
bob:x:-1:1::/broken:/bin/sh
bob:x:4294967295:1::/keeps-root:/bin/sh
+bob:x:5:5::/nis:
  bob:x:1000:100:Bob,,:/home/bob:/bin/sh
bob:x:1001:101::/second:/bin/sh
other:x:1000:7::/other:/bin/sh
homeless:x:1002:1002
::1003:1003::/nameless:
";

    const GROUP: &str = "\
root:x:0:
users:x:100:bob,alice
docker:x:200:alice, bob
broken:x:many:bob
keeps-root:x:4294967295:bob
audio:x:300:bobby,bob2
# off:x:400:bob
-nis:x:500:bob
twin:x:200:bob
video:x:600:,bob
empty:x:700
";

    fn identity(uid: u32, gid: u32, groups: &[u32], name: &str, home: &str) -> Identity {
        Identity { uid, gid, groups: groups.into(), name: name.into(), home: home.into() }
    }

    #[test]
    fn written_forms() {
        let name = |name: &str| User::Name(name.into());
        let table = [
            ("nomad-80123", User::Dynamic(80123)),
            ("nomad-2147483647", User::Dynamic(2147483647)),
            ("nomad-", name("nomad-")),
            ("nomad-1x", name("nomad-1x")),
            ("nomad--1", name("nomad--1")),
            ("Nomad-1", name("Nomad-1")),
            ("www-data", name("www-data")),
            ("-1", name("-1")),
            ("0", User::Numeric { uid: 0, gid: None }),
            ("1000:100", User::Numeric { uid: 1000, gid: Some(100) }),
            ("4294967294:0", User::Numeric { uid: 4294967294, gid: Some(0) }),
        ];
        for (text, user) in table {
            assert_eq!(User::parse(text), Ok(user), "{text}");
        }
    }

    #[test]
    fn a_dynamic_user_stays_the_first_one() {
        for (written, remembered, user) in [
            ("nomad-80001", None, Ok(User::Dynamic(80001))),
            ("nomad-80001", Some("nomad-80002"), Ok(User::Dynamic(80002))),
            ("", Some("nomad-80002"), Ok(User::Dynamic(80002))),
            ("5", Some("nomad-80002"), Ok(User::Numeric { uid: 5, gid: None })),
            ("", None, Err(UserError::Empty)),
            ("", Some("root"), Err(UserError::Remembered("root".into()))),
            ("nomad-80001", Some("nomad-0"), Err(UserError::Remembered("nomad-0".into()))),
            ("a:b", Some("nomad-80002"), Err(UserError::Colon("a:b".into()))),
        ] {
            assert_eq!(User::of_task(written, remembered), user, "{written:?}, {remembered:?}");
        }
    }

    #[test]
    fn bad_forms_say_why() {
        let table = [
            ("", "user must be set"),
            ("bob:users", "only a numeric uid:gid takes a colon"),
            ("bob:100", "only a numeric"),
            ("1000:users", "only a numeric"),
            ("1000:", "only a numeric"),
            (":100", "only a numeric"),
            ("1:2:3", "only a numeric"),
            ("nomad-1:2", "only a numeric"),
            ("4294967295", "4294967295 is no id; the largest is 4294967294"),
            ("0:4294967295", "4294967295 is no id"),
            ("99999999999", "99999999999 is no id"),
            ("nomad-2147483648", "2147483648 is no id; the largest is 2147483647"),
            ("nomad-0", "uid 0 is root's"),
        ];
        for (text, reason) in table {
            let message = User::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("user {text:?}: ")), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn identities() {
        let table = [
            ("nomad-1000", identity(1000, 1000, &[], "nomad-1000", "/nonexistent")),
            ("root", identity(0, 0, &[], "root", "/root")),
            ("bob", identity(1000, 100, &[200, 600], "bob", "/home/bob")),
            ("homeless", identity(1002, 1002, &[], "homeless", "/nonexistent")),
            ("1000", identity(1000, 100, &[200, 600], "bob", "/home/bob")),
            ("1000:1000", identity(1000, 1000, &[], "1000", "/nonexistent")),
            ("4242", identity(4242, 4242, &[], "4242", "/nonexistent")),
            ("4242:7", identity(4242, 7, &[], "4242", "/nonexistent")),
            ("1003", identity(1003, 1003, &[], "1003", "/nonexistent")),
        ];
        for (text, expected) in table {
            let user = User::parse(text).unwrap();
            assert_eq!(user.resolve(PASSWD, GROUP), Ok(expected), "{text}");
        }
    }

    #[test]
    fn groups_that_a_job_names() {
        let bob = || User::parse("bob").unwrap().resolve(PASSWD, GROUP).unwrap();
        type Row<'a> = (Option<&'a str>, &'a [&'a str], u32, &'a [u32]);
        let table: [Row<'_>; 6] = [
            (None, &[], 100, &[200, 600]),
            (Some("docker"), &[], 200, &[600]),
            (Some("7"), &[], 7, &[200, 600]),
            (None, &["audio", "200", "100"], 100, &[200, 600, 300]),
            (Some("audio"), &["root", "audio"], 300, &[200, 600, 0]),
            (Some("empty"), &[], 700, &[200, 600]),
        ];
        for (primary, add, gid, groups) in table {
            let add: Vec<String> = add.iter().map(|name| name.to_string()).collect();
            let identity = bob().regrouped(primary, &add, GROUP).unwrap();
            assert_eq!((identity.gid, identity.groups.as_slice()), (gid, groups), "{primary:?} {add:?}");
        }
        let refused = |primary, add: &[String]| bob().regrouped(primary, add, GROUP).unwrap_err().to_string();
        assert_eq!(refused(Some("broken"), &[]), "group: \"broken\": there is no such name in /etc/group, nor in systemd's userdb");
        assert_eq!(refused(Some("4294967295"), &[]), "group: 4294967295 is no id; the largest is 4294967294");
        assert!(refused(None, &["".into()]).starts_with("group_add: \"\": there is no such name"));
    }

    #[test]
    fn ids_that_the_operator_denies() {
        let bob = User::parse("bob").unwrap().resolve(PASSWD, GROUP).unwrap();
        let allowed = |uids, gids| bob.allowed(&IdRanges::parse(uids).unwrap(), &IdRanges::parse(gids).unwrap()).map_err(|e| e.to_string());
        assert_eq!(allowed("0-999,1001", "0-99,101-199,1000"), Ok(()));
        assert_eq!(allowed("0,1000", ""), Err("user \"bob\": the plugin's denied_host_uids holds uid 1000".into()));
        assert_eq!(allowed("", "100"), Err("user \"bob\": the plugin's denied_host_gids holds gid 100".into()));
        assert_eq!(allowed("", "500-700"), Err("user \"bob\": the plugin's denied_host_gids holds gid 600".into()));
    }

    #[test]
    fn unknown_names() {
        for name in ["nobody", "broken", "+bob", "# bob", "bob\n", "x"] {
            let error = User::parse(name).unwrap().resolve(PASSWD, GROUP).unwrap_err();
            assert_eq!(error, UserError::Unknown(name.into()));
            assert!(error.to_string().contains("/etc/passwd"));
            assert!(!error.to_string().contains('\n'));
        }
    }
}
