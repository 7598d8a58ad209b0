//! CLIP, BERT and ResNet, by this crate's own loops and by candle's.

mod bert;
mod clip;
mod cpu;
mod hub;
mod json;
mod layers;
mod limits;
mod load_options;
mod long_texts;
mod recipe;
mod resnet;
mod side_by_side;
mod source;
mod tokens;
mod transformer;
mod untrained;
mod weights;

pub use bert::BertEncoder;
pub use clip::ClipEncoder;
pub use load_options::LoadOptions;
pub use resnet::ResNetEncoder;
