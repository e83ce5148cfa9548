//! What was acknowledged before it was done.
