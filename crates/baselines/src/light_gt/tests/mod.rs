//! The whole of it against the authors' code, and against finite differences.

mod differences;
mod golden;
