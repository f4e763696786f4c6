//! Who may speak to the plugin.

/// What is known of a process that has connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Whether it is in the plugin's pid namespace.
    pub has_our_pids: bool,
    /// Whether its root directory is the plugin's. A task's never is: every task has a root of its own, in both views.
    pub has_our_root: bool,
}

impl Peer {
    /// Why it is not served. With `admits_group` the socket's mode lets a group of users connect (PLUGIN_UNIX_SOCKET_GROUP).
    pub fn refusal(&self, own_uid: u32, admits_group: bool) -> Option<String> {
        if !self.has_our_pids {
            return Some("it is in another pid namespace".to_owned());
        }
        if !self.has_our_root {
            return Some("its root directory is another than the plugin's".to_owned());
        }
        let is_admitted = self.uid == 0 || self.uid == own_uid || admits_group;
        (!is_admitted).then(|| format!("it belongs to user {}", self.uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_of_the_plugin_is_served_and_no_task() {
        let root = Peer { uid: 0, has_our_pids: true, has_our_root: true };
        assert_eq!(root.refusal(0, false), None);
        assert_eq!(Peer { has_our_pids: false, ..root }.refusal(0, true).unwrap(), "it is in another pid namespace");
        assert_eq!(Peer { has_our_root: false, ..root }.refusal(0, true).unwrap(), "its root directory is another than the plugin's");
        let user = Peer { uid: 1000, ..root };
        assert_eq!(user.refusal(0, false).unwrap(), "it belongs to user 1000");
        assert_eq!([user.refusal(1000, false), user.refusal(0, true)], [None, None]);
    }
}
