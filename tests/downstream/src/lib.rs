//! The programs in the guides, compiled and run, and a model of one's own.

pub mod nearest;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/modality.md")]
struct BringYourOwnModality;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-pytorch.md")]
struct FromPytorch;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/your-data.md")]
struct BringYourOwnData;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/clicks.md")]
struct Clicks;
