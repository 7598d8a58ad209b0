//! Transformers and convolutions on a CPU, without a tensor library in between.
//!
//! A group of sequences goes through all layers on one thread, in buffers that
//! stay in its caches; other threads take other groups. Sequences lie one
//! after another without padding, each row's numbers do not depend on its
//! neighbours, and so a vector is the same to the bit in any batch.

mod attention;
mod convolution;
mod dense;
mod elementwise;
mod transformer;

pub(crate) use convolution::{Convolution, FeatureMap};
pub(crate) use dense::{Dense, Norm};
pub(crate) use elementwise::Activation;
pub(crate) use transformer::CpuTransformer;
