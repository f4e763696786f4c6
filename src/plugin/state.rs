//! The plugin's state: what all handlers share.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};

use crate::lock::lock;
use crate::policy::request::PluginOptions;
use crate::policy::resources::Compute;
use crate::task::{Tasks, clear_records};

use super::event::Event;

/// The tasks, the settings, and the way to the main thread.
pub struct Plugin {
    pub tasks: Tasks,
    settings: Mutex<Arc<Settings>>,
    /// Once what plugins left that died is cleared away.
    cleared: OnceLock<()>,
    main_thread: Sender<Event>,
}

/// What SetConfig said last.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub options: PluginOptions,
    pub compute: Compute,
}

impl Plugin {
    pub fn new(tasks: Tasks, main_thread: Sender<Event>) -> Plugin {
        Plugin { tasks, settings: Mutex::default(), cleared: OnceLock::new(), main_thread }
    }

    pub fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
    }

    pub fn configure(&self, settings: Settings) {
        // Before the first start: `state_dir` is not known until now.
        self.cleared.get_or_init(|| clear_records(&settings.options.state_dir));
        *lock(&self.settings) = Arc::new(settings);
        self.tell(Event::Configured);
    }

    /// Leaves `event` to the main thread. Never blocks.
    pub fn tell(&self, event: Event) {
        // The main thread stops listening only to end the process.
        let _ = self.main_thread.send(event);
    }
}
