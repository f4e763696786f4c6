//! One way to take a lock, and to make what is behind it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes the lock. A panic ends this process (`panic = "abort"`), so no value is ever left half written: a poisoned lock is as good as any.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is made at the first use, if that succeeds, for all who ask.
pub fn once<T, E>(slot: &Mutex<Option<Arc<T>>>, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
    let mut slot = lock(slot);
    match &*slot {
        Some(made) => Ok(Arc::clone(made)),
        None => Ok(Arc::clone(slot.insert(Arc::new(make()?)))),
    }
}
