//! Mutexes whose content outlives a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex even if a panic poisoned it, because the undo after a panic needs its content.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
