//! The suite: the handler against real protocols.
