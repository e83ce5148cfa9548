//! What the shipped descriptions do besides what every provider must, each with a simulation of its system.

mod each_its_own;
mod guests;
mod lists;
mod stories;
mod town;
