//! The largest models that are loaded: a few times those that are published.
//!
//! A configuration comes from anywhere, and its numbers are multiplied and asked memory for.
//! Within these limits no product overflows; with the weights, which have to be as large as
//! the configuration says, they bound what a model can take: half a GiB for what lies between
//! two layers, on each thread.

/// Tokens of a vocabulary; XLM-V has 901,629.
pub(crate) const MOST_TOKENS: usize = 1 << 22;
/// Numbers of a row.
pub(crate) const MOST_WIDTH: usize = 1 << 17;
/// Channels of a convolution.
pub(crate) const MOST_CHANNELS: usize = 1 << 16;
/// Layers.
pub(crate) const MOST_LAYERS: usize = 1 << 10;
/// Rows of a sequence, tokens of a text or patches of a picture: scores of attention are the
/// square of it, 256 MiB a thread.
const MOST_ROWS: usize = 1 << 13;
/// Numbers that lie between two layers.
const MOST_NUMBERS: usize = 1 << 27;
/// Pixels of a side of a picture that a model takes. A few hundred are in memory at a time,
/// 12 MiB each at this size.
pub(crate) const MOST_PIXELS: usize = 1 << 10;

/// What is wrong with the sizes, each a name, a number, and the largest that is supported.
pub(crate) fn sizes_problem<'a>(
    sizes: impl IntoIterator<Item = (&'a str, usize, usize)>,
) -> Option<String> {
    sizes.into_iter().find_map(|(name, size, most)| match size {
        0 => Some(format!("{name} is 0")),
        _ if size > most => Some(format!("{name} is {size}; at most {most} is supported")),
        _ => None,
    })
}

/// The numbers of a transformer's configuration.
pub(crate) struct TransformerSizes {
    /// What to put before the names: `text_config.`
    pub section: &'static str,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Rows of the longest sequence.
    pub rows: usize,
    /// … and what they are called.
    pub rows_name: &'static str,
    pub layer_norm_eps: f64,
}

impl TransformerSizes {
    pub fn problem(&self) -> Option<String> {
        let sizes = [
            ("hidden_size", self.hidden_size, MOST_WIDTH),
            ("intermediate_size", self.intermediate_size, MOST_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MOST_WIDTH),
            (self.rows_name, self.rows, MOST_ROWS),
        ];
        let problem = sizes_problem(sizes).or_else(|| {
            let (width, heads) = (self.hidden_size, self.num_attention_heads);
            // Queries, keys and values, and what is between the two layers of the MLP.
            let numbers = self.rows * (3 * width).max(self.intermediate_size);
            if !width.is_multiple_of(heads) {
                Some(format!(
                    "hidden_size, {width}, is not a multiple of num_attention_heads, {heads}"
                ))
            } else if numbers > MOST_NUMBERS {
                Some(format!(
                    "{} and the widths make {numbers} numbers a layer; at most {MOST_NUMBERS} \
                     are supported",
                    self.rows_name
                ))
            } else {
                epsilon_problem(self.layer_norm_eps)
            }
        });
        problem.map(|problem| format!("{}{problem}", self.section))
    }
}

/// A norm divides by the root of a variance and this.
fn epsilon_problem(epsilon: f64) -> Option<String> {
    let usable = epsilon >= 0.0 && (epsilon as f32).is_finite();
    (!usable).then(|| format!("layer_norm_eps is {epsilon}, not a small positive number"))
}

/// What is wrong with a network whose largest feature map has these many numbers.
pub(crate) fn map_problem(numbers: u64) -> Option<String> {
    (numbers > MOST_NUMBERS as u64)
        .then(|| format!("a layer gives {numbers} numbers; at most {MOST_NUMBERS} are supported"))
}
