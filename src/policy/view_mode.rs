//! The words with which a job says how it sees the host.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewMode {
    /// The host's tree under Landlock: what is not unveiled is there and can't be used.
    #[default]
    Host,
    /// A root of its own with what is unveiled; the rest does not exist.
    Private,
}

impl ViewMode {
    /// `None` for what is neither `host` nor `private`.
    pub fn parse(text: &str) -> Option<ViewMode> {
        match text {
            "host" => Some(ViewMode::Host),
            "private" => Some(ViewMode::Private),
            _ => None,
        }
    }
}

/// Whether what is not unveiled for writing is also mounted read-only: Landlock leaves chmod, chown, times and extended attributes open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectSystem {
    #[default]
    Strict,
    Off,
}

impl ProtectSystem {
    /// `None` for any other word than `strict` and `off`.
    pub fn parse(word: &str) -> Option<ProtectSystem> {
        match word {
            "strict" => Some(ProtectSystem::Strict),
            "off" => Some(ProtectSystem::Off),
            _ => None,
        }
    }
}
