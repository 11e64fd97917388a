//! Tasks that wait for something, each with its own position in the queue.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Wakers in the order in which their tasks began to wait. A cancelled wait leaves the queue: an
/// unused waker must not keep a task's memory.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    queue: BTreeMap<u64, Waker>,
    /// The number of the last position assigned.
    next: u64,
}

/// A position in the queue, kept by the waiting future.
#[derive(Debug, Default)]
pub(crate) struct QueuePosition(Option<u64>);

impl Waiters {
    /// Waits at this position: the assigned one, or a new one at the end.
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

    /// Leaves the queue.
    pub(crate) fn leave(&mut self, position: &QueuePosition) -> Option<Waker> {
        self.queue.remove(&position.0?)
    }

    /// Returns whether no task waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the wakers of all tasks that wait. They are to be woken outside the lock. The tasks
    /// keep their positions: a task that waits again does so before those that came later.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.queue).into_values()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Wakes all tasks even if a waker panics, since the waker may be the application's and nothing
/// else would wake the tasks behind it. The panic continues afterwards.
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
    /// Returns whether this position was ever assigned, so that it must be left.
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

    /// The first task to wait is woken first, however often it had to wait again.
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
        assert!(catch_unwind(|| wake_all(wakers)).is_err(), "and the panic continues");
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
