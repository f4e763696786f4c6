//! What a task sees of the host's files.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The host's tree under Landlock: what is not unveiled is there and can't be used.
    #[default]
    Host,
    /// A root of its own with what is unveiled; the rest does not exist.
    Private,
}

impl View {
    /// `None` for what is neither `host` nor `private`.
    pub fn parse(text: &str) -> Option<View> {
        match text {
            "host" => Some(View::Host),
            "private" => Some(View::Private),
            _ => None,
        }
    }
}
