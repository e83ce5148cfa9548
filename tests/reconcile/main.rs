//! What no webhook told is found and healed: both sides drift apart in every way, and are the same afterwards.

#[path = "../contract/held.rs"]
mod contract;
mod finds;
mod town;
