//! Values that guards put over each other, and that come back in whatever order the guards go.

use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// What was there before each guard, oldest guard first.
#[derive(Debug)]
pub(crate) struct Layers<T>(Vec<(u64, Option<T>)>);

impl<T> Default for Layers<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Layers<T> {
    /// A new guard has put its value over `before`. Returns the guard's number.
    pub(crate) fn push(&mut self, before: Option<T>) -> u64 {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.0.push((id, before));
        id
    }

    /// The guard goes. If it was the newest, what was there before is the caller's to bring back; a newer guard inherits that otherwise.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.0.iter().position(|(layer, _)| *layer == id)?;
        let (_, before) = self.0.remove(at);
        match self.0.get_mut(at) {
            Some((_, newer)) => {
                *newer = before.or_else(|| newer.take());
                None
            }
            None => before,
        }
    }

    /// The guard's value stays for good: nothing from before it comes back any more.
    pub(crate) fn keep(&mut self, id: u64) {
        if let Some(at) = self.0.iter().position(|(layer, _)| *layer == id) {
            self.0.remove(at);
            self.0.iter_mut().take(at).for_each(|(_, before)| *before = None);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
