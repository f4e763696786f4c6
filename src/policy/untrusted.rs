//! Whose symlinks are not followed, and where none are.

use super::identity::Identity;

#[derive(Clone, Debug, Default)]
pub struct Untrusted {
    /// The task's user. 0 owns the host's links too, and is covered by `trees` alone.
    pub uid: u32,
    /// Directories in which the task may create files, whatever they are called on the way.
    pub trees: Vec<Identity>,
}

impl Untrusted {
    /// Whether what `uid` owns may be the task's.
    pub fn owns(&self, uid: u32) -> bool {
        self.uid != 0 && uid == self.uid
    }

    /// Whether the task may create files in that directory.
    pub fn writes(&self, dir: &Identity) -> bool {
        self.trees.contains(dir)
    }

    /// Whether a symlink of `owner`'s may be followed, in a directory of `owner_of_directory` that the task may not write: root made it, or
    /// whom the directory belongs to. In one such as /tmp anybody makes links.
    pub fn may_follow(&self, owner: u32, owner_of_directory: u32) -> bool {
        !self.owns(owner) && (owner == 0 || owner == owner_of_directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_guests_and_of_the_task() {
        let follows = |uid, owner, of_directory| Untrusted { uid, trees: Vec::new() }.may_follow(owner, of_directory);
        assert_eq!([follows(7, 0, 0), follows(7, 0, 8), follows(7, 8, 8), follows(0, 0, 0)], [true; 4]);
        assert_eq!([follows(7, 7, 7), follows(7, 8, 0), follows(0, 8, 0)], [false; 3]);
    }
}
