//! Marketing Cloud and Gigya in step; and Campaign Monitor with them.

mod callbacks;
mod handshake;
mod leaving;
pub mod town;
mod who_wins;
