//! The texts of /etc/passwd and /etc/group. Lines that glibc would not take are skipped.

use super::text::decimal;

/// The all-ones id means "leave it as it is" to setresuid(2), which would keep the plugin's root.
pub const MAX_ID: u32 = u32::MAX - 1;

/// The gid of the group of that name in the text of /etc/group.
pub fn gid_of(group: &str, name: &str) -> Option<u32> {
    group.lines().filter_map(group_entry).find(|(known, ..)| *known == name).map(|(_, gid, _)| gid)
}

/// Whether the text of /etc/passwd has a user of that name.
pub fn is_user(passwd: &str, name: &str) -> bool {
    passwd.lines().filter_map(Passwd::parse).any(|entry| entry.name == name)
}

/// Whether the text of /etc/group has a group of that name.
pub fn is_group(group: &str, name: &str) -> bool {
    gid_of(group, name).is_some()
}

/// The gids of the groups that have that user as a member, without the user's own.
pub fn groups_of(group: &str, user: &str, own: u32) -> Vec<u32> {
    let mut groups = Vec::new();
    for (_, gid, members) in group.lines().filter_map(group_entry) {
        let is_member = members.split(',').any(|member| member.trim_start() == user);
        if is_member && gid != own && !groups.contains(&gid) {
            groups.push(gid);
        }
    }
    groups
}

/// One line of /etc/passwd, passwd(5).
pub struct Passwd<'a> {
    pub name: &'a str,
    pub uid: u32,
    pub gid: u32,
    pub home: &'a str,
}

impl<'a> Passwd<'a> {
    /// `None` for a comment, a NIS entry (`+`, `-`), or a line without a name and two ids. What follows them may be missing.
    pub fn parse(line: &'a str) -> Option<Passwd<'a>> {
        let mut fields = line.trim_start().split(':');
        let name = entry_name(fields.next()?)?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        let (_gecos, home) = (fields.next(), fields.next().unwrap_or_default());
        Some(Passwd { name, uid: number(uid, MAX_ID)?, gid: number(gid, MAX_ID)?, home })
    }
}

/// Name, gid and member list of a line of /etc/group, group(5).
fn group_entry(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.trim_start().split(':');
    let name = entry_name(fields.next()?)?;
    let (_password, gid) = (fields.next()?, fields.next()?);
    Some((name, number(gid, MAX_ID)?, fields.next().unwrap_or_default()))
}

fn entry_name(name: &str) -> Option<&str> {
    (!name.is_empty() && !name.starts_with(['#', '+', '-'])).then_some(name)
}

/// An id in digits, `max` at most.
pub fn number(digits: &str, max: u32) -> Option<u32> {
    decimal(digits).filter(|id| *id <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\nnomadic:x:7:\nbroken\nnomad:x:998:a,b\n";
        assert_eq!([gid_of(groups, "nomad"), gid_of(groups, "broken"), gid_of(groups, "")], [Some(998), None, None]);
    }

    #[test]
    fn users() {
        let passwd = "# bob:x:1:1\n+eve:x:5:5\nbroken:x:none:1\n  bob:x:7:8:Bob:/home/bob:/bin/sh\n";
        assert_eq!(["bob", "eve", "broken", "# bob", ""].map(|name| is_user(passwd, name)), [true, false, false, false, false]);
        let bob = passwd.lines().find_map(Passwd::parse).unwrap();
        assert_eq!((bob.name, bob.uid, bob.gid, bob.home), ("bob", 7, 8, "/home/bob"));
    }

    #[test]
    fn groups_of_a_user() {
        let groups = "own:x:8:bob\na:x:1:alice, bob\nb:x:2:bobby\ntwin:x:1:bob\n";
        assert_eq!(groups_of(groups, "bob", 8), [1]);
        assert_eq!(groups_of(groups, "bob", 1), [8]);
    }
}
