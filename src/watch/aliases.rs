//! Where else on the host directories are seen: through other mounts of their file systems.

use super::mount_table::Table;
use crate::error::{At, Result};
use crate::lock::lock;
use crate::policy::mountinfo::seen_at;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

/// As long as the host's mounts are the same, their table, which can be thousands of lines, is read once.
#[derive(Default)]
pub struct Aliases(Mutex<Option<Known>>);

struct Known {
    table: Table,
    directories: BTreeSet<PathBuf>,
    places: Vec<PathBuf>,
}

impl Aliases {
    /// Of directories without symlinks on their paths.
    pub fn of(&self, directories: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>> {
        let mut slot = lock(&self.0);
        if let Some(known) = &*slot
            && known.directories == *directories
            && !known.table.has_changed()
        {
            return Ok(known.places.clone());
        }
        let table = Table::open(File::open("/proc").at_path("open", "/proc")?)?;
        // What happens from here on is a change.
        table.has_changed();
        let text = table.text()?;
        let places: Vec<PathBuf> = directories.iter().flat_map(|directory| seen_at(&text, directory)).collect();
        *slot = Some(Known { table, directories: directories.clone(), places: places.clone() });
        Ok(places)
    }
}
