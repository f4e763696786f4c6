//! A node with an allocation whose task may write its own directories. Its mounts are the test's to leave: see `namespace::in_own_namespace`.

use super::open_to_all;
use super::task::{Node, With};
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::spec::TaskSpec;
use std::path::PathBuf;

pub struct Place {
    pub node: Node,
    pub directories: Directories,
}

impl Place {
    pub fn new() -> Place {
        let node = Node::new();
        let directories = node.directories("a");
        for below in ["local", "alloc", "tmp", "secrets"] {
            open_to_all(&directories.task_dir.join(below));
        }
        Place { node, directories }
    }

    /// In the task's directory.
    pub fn own(&self, below: &str) -> PathBuf {
        self.directories.task_dir.join(below)
    }

    pub fn spec(&self, attempts: &[&str]) -> TaskSpec {
        self.node.spec(attempts).with(|spec| spec.view.directories = Some(self.directories.clone()))
    }

    /// Starts a task that must be refused. Why it was.
    pub fn refused(&self, spec: TaskSpec) -> String {
        let id = spec.id.clone();
        let error = self.node.start(spec).expect_err("started what should be refused").to_string();
        self.node.assert_nothing_left(&id);
        error
    }
}
