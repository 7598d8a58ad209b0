use crate::layout::Layout;
use crate::{DlrmConfig, Parameters, Result, Segment};

/// The deep learning recommendation model (Naumov et al., 2019) with towers
/// for further modalities.
///
/// Dense features go through bottom MLPs, ids through embedding bags, and
/// vectors from encoders through towers; the resulting vectors interact, and a
/// top MLP makes a prediction of what they interact to.
///
/// ```
/// use mmdlrm_model::{
///     Bags, Batch, BottomConfig, Dlrm, DlrmConfig, Gradients, Loss, Side, TableConfig,
/// };
///
/// let config = DlrmConfig {
///     dim: 8,
///     bottoms: vec![BottomConfig::new(Side::User, 0..2, vec![8])],
///     tables: vec![TableConfig::new("user", 3, Side::User)],
///     ..DlrmConfig::default()
/// };
/// let model = Dlrm::new(config, 42)?;
/// let batch = Batch {
///     dense: &[0.5, 1.0, -0.5, 2.0],
///     bags: &[Bags::Single(&[0, 2])],
///     modalities: &[],
/// };
/// let mut predictions = Vec::new();
/// model.predict(&batch, &mut predictions)?;
/// assert_eq!(predictions.len(), 2);
///
/// let mut gradients = Gradients::default();
/// let loss = model.gradients(&batch, &[3.5, 4.0], Loss::Mse, &mut gradients)?;
/// assert!(loss > 0.0);
/// assert_eq!(gradients.tables[0].rows(), [0, 2]);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dlrm {
    pub(crate) config: DlrmConfig,
    pub(crate) layout: Layout,
    pub(crate) parameters: Parameters,
}

impl Dlrm {
    /// A model with parameters drawn by `seed`, as facebookresearch/dlrm draws
    /// them.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a setting that makes no
    /// sense.
    pub fn new(config: DlrmConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        let layout = Layout::new(&config);
        let parameters = Parameters::draw(&config, &layout, seed)?;
        Ok(Self {
            config,
            layout,
            parameters,
        })
    }

    /// What the model looks like.
    pub fn config(&self) -> &DlrmConfig {
        &self.config
    }

    /// Everything it has learned.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// For optimisers. The lengths must stay as they are.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Names and places of the pieces of [`Parameters::dense`].
    pub fn segments(&self) -> Vec<Segment> {
        self.layout.segments(&self.config)
    }

    /// The name of a parameter that is infinite or NaN, if there is one.
    pub fn not_finite(&self) -> Option<String> {
        let is_bad = |values: &[f32]| values.iter().any(|x| !x.is_finite());
        let mut segments = self.segments().into_iter();
        let dense = segments.find(|segment| is_bad(&self.parameters.dense[segment.range()]));
        let mut tables = self.parameters.tables.iter();
        dense.map(|segment| segment.name).or_else(|| {
            let table = tables.find(|table| is_bad(&table.values))?;
            Some(table.name.clone())
        })
    }
}
