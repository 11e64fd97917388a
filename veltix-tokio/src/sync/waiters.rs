//! Tasks that wait for something, each with a position of its own in the line.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Wakers in the order in which their tasks came. A wait that is given up leaves the line: what
/// nobody waits for any more must not keep a task's memory.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    queue: BTreeMap<u64, Waker>,
    /// The number of the next position.
    next: u64,
}

/// A position in the line, kept by whoever waits.
#[derive(Debug, Default)]
pub(crate) struct QueuePosition(Option<u64>);

impl Waiters {
    /// Waits at this position: the one that it has, or a new one at the end.
    pub(crate) fn wait(&mut self, position: &mut QueuePosition, waker: &Waker) {
        let number = *position.0.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.queue.get_mut(&number) {
            Some(known) => known.clone_from(waker),
            None => {
                self.queue.insert(number, waker.clone());
            }
        }
    }

    /// Leaves the line.
    pub(crate) fn leave(&mut self, position: &QueuePosition) -> Option<Waker> {
        self.queue.remove(&position.0?)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Everybody who waits; they are to be woken outside the lock. Their positions stay theirs, so
    /// that who waits again does so before those who came later.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.queue).into_values()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Wakes everybody, although a waker, which may be the application's, panics: nobody else would wake
/// those behind it. The panic goes on afterwards.
#[inline]
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut panic = None;
    for waker in wakers {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            panic = Some(payload);
        }
    }
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}

impl QueuePosition {
    /// Whether this position was ever taken, so that it must be left.
    pub(crate) const fn is_assigned(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_leaves_is_forgotten_and_who_waits_is_woken_once() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (QueuePosition::default(), QueuePosition::default());
        waiters.wait(&mut first, &waker);
        waiters.wait(&mut first, &waker);
        waiters.wait(&mut second, &waker);
        assert_eq!(waiters.len(), 2);
        waiters.leave(&second);
        assert_eq!(waiters.len(), 1);
        wake_all(waiters.take());
        assert_eq!((waiters.len(), count.0.load(Ordering::Relaxed)), (0, 1));
    }

    /// Who was there first is woken first, however often it had to wait again.
    #[test]
    fn a_place_is_kept() {
        struct Order(usize, Arc<std::sync::Mutex<Vec<usize>>>);

        impl Wake for Order {
            fn wake(self: Arc<Self>) {
                self.1.lock().unwrap().push(self.0);
            }
        }

        let order = Arc::new(std::sync::Mutex::default());
        let wakers = [0, 1, 2].map(|nth| Waker::from(Arc::new(Order(nth, Arc::clone(&order)))));
        let (mut waiters, mut positions) =
            (Waiters::default(), [(); 3].map(|()| QueuePosition::default()));
        for again in [[0, 1, 2], [2, 0, 1]] {
            for nth in again {
                waiters.wait(&mut positions[nth], &wakers[nth]);
            }
            wake_all(waiters.take());
            assert_eq!(std::mem::take(&mut *order.lock().unwrap()), [0, 1, 2]);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("planned");
        }
    }

    #[test]
    fn a_waker_that_panics_takes_nobody_with_it() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let wakers = [Waker::from(Arc::new(Panics)), waker.clone(), waker];
        assert!(catch_unwind(|| wake_all(wakers)).is_err(), "and it is heard of");
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
