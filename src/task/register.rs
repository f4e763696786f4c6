//! The register of all tasks, and what it holds of each.

use super::denials::Denials;
use super::error::{NotFound, TaskError};
use super::event::{Ear, Subject};
use super::order::Order;
use super::status::{Ended, Status};
use crate::launch::Launcher;
use crate::lock::lock;
use crate::policy::event::Happening;
use crate::watch::wake::Wake;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

/// The tasks by id, and who is told of them.
pub(super) struct Register {
    /// By which all of them are launched.
    pub launcher: Arc<Launcher>,
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    pub ear: Arc<Ear>,
    pub denials: Denials,
}

impl Register {
    pub fn new(launcher: Launcher) -> Register {
        let (tasks, ear, denials) = (Mutex::default(), Arc::default(), Denials::default());
        Register { launcher: Arc::new(launcher), tasks, ear, denials }
    }

    pub fn find(&self, id: &str) -> Result<Arc<Task>, NotFound> {
        lock(&self.tasks).get(id).cloned().ok_or(NotFound)
    }

    /// Enters a task that takes orders from now on.
    pub fn enter(&self, id: &str, wake: Wake) -> Result<Arc<Task>, TaskError> {
        let task = Arc::new(Task { orders: Mutex::new(Some(VecDeque::new())), wake, status: Mutex::new(None), ear: self.ear.clone() });
        let mut tasks = lock(&self.tasks);
        if tasks.contains_key(id) {
            return Err(TaskError::Duplicate(id.to_string()));
        }
        tasks.insert(id.to_string(), task.clone());
        Ok(task)
    }

    /// Takes a task out; what was ordered meanwhile is answered as by a task that has ended.
    pub fn forget(&self, id: &str, task: &Task, ended: &Ended) {
        lock(&self.tasks).remove(id);
        let left = lock(&task.orders).take();
        left.into_iter().flatten().for_each(|order| order.after_end(ended));
    }
}

/// What others hold of a task.
pub(super) struct Task {
    /// `None` once the thread takes no more orders.
    pub orders: Mutex<Option<VecDeque<Order>>>,
    pub wake: Wake,
    /// Set when the command runs.
    pub status: Mutex<Option<Status>>,
    /// Where it tells what happens to it.
    ear: Arc<Ear>,
}

impl Task {
    /// Hands its thread an order.
    pub fn order(&self, order: Order) -> Result<(), NotFound> {
        lock(&self.orders).as_mut().ok_or(NotFound)?.push_back(order);
        self.wake.wake();
        Ok(())
    }

    /// What has been ordered since the last time.
    pub fn take_orders(&self) -> VecDeque<Order> {
        self.wake.clear();
        lock(&self.orders).as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub fn tell(&self, subject: &Subject, what: Happening) {
        self.ear.tell(subject, what);
    }
}
