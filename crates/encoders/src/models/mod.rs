//! CLIP, BERT and ResNet, by this crate's own loops and by candle's.

mod bert;
mod clip;
mod cpu;
mod dinov2;
mod hub;
mod json;
mod layers;
mod limits;
mod load;
mod load_options;
mod long_texts;
mod model_type;
mod patches;
mod positions;
mod recipe;
mod resnet;
mod sentence;
mod side_by_side;
mod siglip;
mod source;
mod tokens;
mod transformer;
mod untrained;
mod vocabulary;
mod weights;

pub use bert::BertEncoder;
pub use clip::ClipEncoder;
pub use dinov2::Dinov2Encoder;
pub use load::{TwoTowers, load_image_encoder, load_text_encoder, load_two_towers};
pub use load_options::LoadOptions;
pub use resnet::ResNetEncoder;
pub use siglip::SiglipEncoder;
