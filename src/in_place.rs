//! Futures in boxes that are made where they stay.

use std::pin::Pin;

/// Boxes the future that `make` makes, as `Box::pin` does with one that was made already. That one is made on the stack and then
/// copied, with all its kilobytes, of which a future that hasn't begun uses a few words.
#[inline]
pub fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let place = Box::new_uninit();
    Box::into_pin(Box::write(place, make()))
}
