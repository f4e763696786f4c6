//! One thing that is made before it is asked for: as the last one was wanted.

use crate::lock::lock;
use std::sync::Mutex;

/// At most one is ready.
pub struct Ahead<W, T>(Mutex<(Option<W>, Option<T>)>);

impl<W, T> Default for Ahead<W, T> {
    fn default() -> Ahead<W, T> {
        Ahead(Mutex::new((None, None)))
    }
}

impl<W: Clone + PartialEq, T> Ahead<W, T> {
    /// The one that is ready, if it is as one is wanted now. The next will be.
    pub fn take(&self, is_wanted: impl FnOnce(&W) -> bool, wanted: impl FnOnce() -> W) -> Option<T> {
        let mut slot = lock(&self.0);
        if !slot.0.as_ref().is_some_and(is_wanted) {
            *slot = (Some(wanted()), None);
        }
        slot.1.take()
    }

    /// Makes one as the last was wanted, unless there is one.
    pub fn fill<E>(&self, make: impl FnOnce(&W) -> Result<T, E>) -> Result<(), E> {
        let wanted = match &*lock(&self.0) {
            (Some(wanted), None) => wanted.clone(),
            _ => return Ok(()),
        };
        let made = make(&wanted)?;
        let mut slot = lock(&self.0);
        // Another may have been wanted meanwhile.
        if slot.0.as_ref() == Some(&wanted) {
            slot.1 = Some(made);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_last_was_wanted() {
        let ahead = Ahead::<u32, u32>::default();
        let take = |wanted: u32| ahead.take(|known| *known == wanted, || wanted);
        let fill = || ahead.fill(|wanted| Ok::<_, ()>(wanted * 10));
        fill().unwrap();
        assert_eq!(take(1), None, "nobody had wanted one");
        fill().unwrap();
        assert_eq!((take(1), take(1)), (Some(10), None));
        fill().unwrap();
        assert_eq!(take(2), None, "it is another's");
        ahead.fill(|_| Err(())).unwrap_err();
        ahead
            .fill(|wanted| {
                assert_eq!(take(3), None);
                Ok::<_, ()>(*wanted)
            })
            .unwrap();
        assert_eq!(take(3), None, "it was made for the one before");
    }
}
