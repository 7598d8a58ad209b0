//! Bags that samples share against the same bags written out for each sample.

use mmdlrm::model::{
    BottomConfig, Dlrm, DlrmConfig, Gradients, Inputs, Loss, Pooling, SharedBags, Side,
    TableConfig, TableInput,
};

const ROWS: usize = 13;

/// Four bags, one empty and one that no sample has; each sample but every third
/// leaves an id out.
struct Input {
    dense: Vec<f32>,
    bag_of: Vec<u32>,
    offsets: Vec<u32>,
    ids: Vec<u32>,
    weights: Vec<f32>,
    shifts: Vec<f32>,
    left_out: Vec<u32>,
    targets: Vec<f32>,
}

impl Input {
    fn new(samples: usize) -> Self {
        let jumble = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        let offsets = vec![0, 9, 9, 14, 40];
        let bag_of: Vec<u32> = (0..samples).map(|s| [0, 1, 3, 3, 0][s % 5]).collect();
        let left_out = bag_of.iter().enumerate().map(|(sample, &bag)| {
            let span = offsets[bag as usize]..offsets[bag as usize + 1];
            match sample % 3 == 0 || span.is_empty() {
                true => SharedBags::WHOLE,
                false => span.start + sample as u32 % (span.end - span.start),
            }
        });
        Self {
            dense: (0..samples).map(jumble).collect(),
            left_out: left_out.collect(),
            ids: (0..40)
                .map(|i| (i * i % ROWS as u32 + i) % ROWS as u32)
                .collect(),
            weights: (0..40).map(|i| jumble(i + 100)).collect(),
            shifts: (0..samples).map(|i| jumble(i + 500)).collect(),
            targets: (0..samples).map(|i| jumble(i + 900)).collect(),
            bag_of,
            offsets,
        }
    }

    fn shared(&self, weighted: bool) -> SharedBags<'_> {
        SharedBags {
            bag_of: &self.bag_of,
            offsets: &self.offsets,
            ids: &self.ids,
            weights: weighted.then_some(&self.weights),
            shifts: weighted.then_some(&self.shifts),
            left_out: &self.left_out,
        }
    }

    /// Offsets, ids and weights of each sample.
    fn written_out(&self, weighted: bool) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
        let (mut offsets, mut ids, mut weights) = (vec![0], Vec::new(), Vec::new());
        for (sample, &bag) in self.bag_of.iter().enumerate() {
            for position in self.offsets[bag as usize]..self.offsets[bag as usize + 1] {
                if position != self.left_out[sample] {
                    ids.push(self.ids[position as usize]);
                    let weight = self.weights[position as usize] + self.shifts[sample];
                    weights.push(if weighted { weight } else { 1.0 });
                }
            }
            offsets.push(ids.len() as u32);
        }
        (offsets, ids, weights)
    }

    fn batch<'a>(&'a self, bags: &'a [TableInput<'a>]) -> Inputs<'a> {
        Inputs {
            dense: &self.dense,
            tables: bags,
            modalities: &[],
        }
    }
}

fn config(pooling: Pooling, dim: Option<usize>) -> DlrmConfig {
    DlrmConfig {
        dim: 8,
        bottoms: vec![BottomConfig::new(Side::Pair, 0..1, vec![8])],
        tables: vec![TableConfig {
            pooling,
            dim,
            ..TableConfig::new("history", ROWS, Side::User)
        }],
        top: vec![7],
        ..DlrmConfig::default()
    }
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
}

/// Gradient of a whole table.
fn of_table(gradients: &Gradients, dim: usize) -> Vec<f32> {
    let mut all = vec![0.0; ROWS * dim];
    let rows = &gradients.tables[0];
    for (&row, values) in rows.rows().iter().zip(rows.values.chunks_exact(dim)) {
        all[row as usize * dim..][..dim].copy_from_slice(values);
    }
    all
}

#[test]
fn shared_bags_equal_bags_written_out_for_each_sample() {
    let input = Input::new(500);
    for (pooling, weighted, dim) in [
        (Pooling::Sum, true, None),
        (Pooling::SqrtN, true, None),
        (Pooling::SqrtN, false, Some(3)),
        (Pooling::Mean, false, None),
    ] {
        let model = Dlrm::new(config(pooling, dim), 3).unwrap();
        let shared = [TableInput::Shared(input.shared(weighted))];
        let (offsets, ids, weights) = input.written_out(weighted);
        let written = [match weighted {
            true => TableInput::Weighted {
                offsets: &offsets,
                ids: &ids,
                weights: &weights,
            },
            false => TableInput::Lists {
                offsets: &offsets,
                ids: &ids,
            },
        }];
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        model.predict(&input.batch(&shared), &mut found).unwrap();
        model
            .predict(&input.batch(&written), &mut expected)
            .unwrap();
        assert_close(&found, &expected);

        let (mut of_shared, mut of_written) = (Gradients::default(), Gradients::default());
        let gradients = |bags, into: &mut Gradients| {
            model
                .gradients(&input.batch(bags), &input.targets, Loss::Mse, into)
                .unwrap()
        };
        // Twice: buffers are used again.
        gradients(&shared, &mut of_shared);
        gradients(&shared, &mut of_shared);
        gradients(&written, &mut of_written);
        assert_close(&of_shared.dense, &of_written.dense);
        let dim = dim.unwrap_or(8);
        assert_close(&of_table(&of_shared, dim), &of_table(&of_written, dim));
        on_a_device(&model, &input.batch(&shared), &input.targets, &of_shared);
    }
}

fn on_a_device(model: &Dlrm, batch: &Inputs, targets: &[f32], expected: &Gradients) {
    use mmdlrm::model::DeviceDlrm;
    let device = mmdlrm::encoders::device("cpu").unwrap();
    let on_device = DeviceDlrm::new(model, &[], &device).unwrap();
    let found = on_device.gradients(batch, targets, Loss::Mse).unwrap();
    assert_close(&found.dense.to_vec1::<f32>().unwrap(), &expected.dense);
    let (rows, values) = &found.tables[0];
    assert_eq!(rows.to_vec1::<u32>().unwrap(), expected.tables[0].rows());
    let values = values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_close(&values, &expected.tables[0].values);
}

#[test]
fn bad_shared_bags_are_named() {
    let model = Dlrm::new(config(Pooling::Sum, None), 3).unwrap();
    let refusal = |change: fn(&mut Input)| {
        let mut input = Input::new(10);
        change(&mut input);
        let bags = [TableInput::Shared(input.shared(true))];
        let error = model.predict(&input.batch(&bags), &mut Vec::new());
        error.unwrap_err().to_string()
    };
    let message = refusal(|input| input.left_out[2] = 3);
    assert!(
        message.contains("sample 2 leaves out position 3, but its bag has 14 to 40"),
        "{message}"
    );
    let message = refusal(|input| input.bag_of[7] = 4);
    assert!(
        message.contains("bags of table history: row 4 at position 7"),
        "{message}"
    );
    let message = refusal(|input| input.ids[5] = ROWS as u32);
    assert!(
        message.contains("table history: row 13 at position 5"),
        "{message}"
    );
    let message = refusal(|input| input.offsets[2] = 5);
    assert!(
        message.contains("table history: the bag offsets must rise"),
        "{message}"
    );
    let message = refusal(|input| input.shifts[1] = f32::NAN);
    assert!(message.contains("shifts of table history"), "{message}");
}
