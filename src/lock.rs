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

/// What was made for the last key, as long as the same is asked for.
pub fn latest<K: PartialEq, T: Clone>(slot: &Mutex<Option<(K, T)>>, key: K, make: impl FnOnce(&K) -> T) -> T {
    let mut slot = lock(slot);
    match &*slot {
        Some((known, made)) if *known == key => made.clone(),
        _ => {
            let made = make(&key);
            slot.insert((key, made)).1.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_made_once() {
        let slot = Mutex::new(None);
        let made = [1, 1, 2, 1].map(|key| latest(&slot, key, |key| Arc::new(key * 10)));
        assert!(Arc::ptr_eq(&made[0], &made[1]) && !Arc::ptr_eq(&made[0], &made[3]));
        assert_eq!(made.map(|made| *made), [10, 10, 20, 10]);
    }
}
