use mmdlrm_data::{Column, IdMap, Rated};
use mmdlrm_model::{BottomConfig, Dlrm, Gradients, Loss, Side};

use super::*;
use crate::{Optimizer, OptimizerConfig};

const SAMPLES: usize = 4;

/// Somebody's plays: who acts in them, who directs, who comes along, the weather of the
/// evening, and a trailer. The names are none that this workspace knows.
fn schema() -> BatchSchema {
    let columns = [
        ("trailer", ColumnKind::Vectors { width: 2 }),
        ("friends", ColumnKind::Shared { ids: 3 }),
        ("weather", ColumnKind::dense(["rain", "wind"])),
        ("director", ColumnKind::Ids { ids: 2 }),
        ("actor", ColumnKind::Bags { ids: 5 }),
    ];
    let columns = columns.map(|(name, kind)| ColumnField::new(name, kind));
    BatchSchema::new(3, 2, columns).unwrap()
}

fn trailers() -> Vec<Modality> {
    let plays = IdMap::from_ids([10, 20]);
    let vectors = [(10, &[1.0, 0.0][..]), (20, &[0.0, 1.0])];
    vec![Modality::standardized("trailer", 2, &plays, vectors).unwrap()]
}

fn batch() -> Batch {
    let of = |(user, movie, stars)| Rated {
        user,
        movie,
        stars,
        timestamp: 0,
    };
    let rows: [_; SAMPLES] = [(0, 0, 5.0), (1, 1, 1.0), (2, 0, 4.0), (0, 1, 2.0)].map(of);
    let mut friends = BatchBags::default();
    friends.bag_of = vec![0, 1, 1, 0];
    friends.offsets = vec![0, 2, 3];
    friends.ids = vec![1, 2, 0];
    friends.deviations = vec![0.5, -0.5, 1.0];
    friends.shifts = vec![0.25; SAMPLES];
    friends.left_out = vec![BatchBags::WHOLE; SAMPLES];
    let columns = vec![
        Column::Vectors(vec![0, 1, Modality::MISSING, 1]),
        Column::Shared(friends),
        Column::Dense {
            width: 2,
            values: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        },
        Column::Ids(vec![1, 0, 1, 0]),
        Column::Bags {
            offsets: vec![0, 2, 3, 3, 4],
            ids: vec![4, 1, 2, 0],
        },
    ];
    Batch::of(&rows).with_columns(&schema(), columns)
}

fn config(tables: &[(&str, usize)]) -> DlrmConfig {
    let table = |&(name, rows): &(&str, usize)| TableConfig::new(name, rows, Side::Pair);
    DlrmConfig {
        dim: 4,
        bottoms: vec![BottomConfig::new(Side::Pair, 0..2, vec![4])],
        tables: tables.iter().map(table).collect(),
        modalities: vec![ModalityConfig::new("trailer", 2, vec![4])],
        top: vec![8],
        ..DlrmConfig::default()
    }
}

/// In an order of its own, with a row to spare.
const TABLES: [(&str, usize); 6] = [
    ("actor", 6),
    ("rated_friends", 3),
    ("movie", 2),
    ("director", 2),
    ("user", 3),
    ("friends", 3),
];

#[test]
fn inputs_are_the_columns_of_their_names_and_nothing_is_copied() {
    let (modalities, batch) = (trailers(), batch());
    let wiring = Wiring::of(&config(&TABLES), &schema(), &modalities).unwrap();
    let ids = |name: &str| match batch.column(name).unwrap() {
        ColumnView::Ids(ids) | ColumnView::Bags { ids, .. } => ids.as_ptr(),
        ColumnView::Shared(bags) => bags.ids.as_ptr(),
        other => panic!("{name} is {other:?}"),
    };
    let found = wiring.with(&batch, |inputs| {
        let tables = inputs.tables.iter().map(|table| match table {
            TableInput::Single(ids) => (ids.as_ptr(), false),
            TableInput::Lists { offsets, ids } => {
                assert_eq!(offsets, &[0, 2, 3, 3, 4]);
                (ids.as_ptr(), false)
            }
            TableInput::Shared(bags) => {
                assert_eq!(bags.weights.is_some(), bags.shifts.is_some());
                (bags.ids.as_ptr(), bags.weights.is_some())
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(inputs.dense[..2], [0.1, 0.2]);
        let trailers = &inputs.modalities[0];
        assert_eq!(trailers.rows, [0, 1, ModalityInput::MISSING, 1]);
        assert!(matches!(trailers.vectors, Vectors::F16(all) if all == modalities[0].values()));
        Ok::<_, Error>(tables.collect::<Vec<_>>())
    });
    let expected = [
        (ids("actor"), false),
        (ids("friends"), true),
        (ids(Batch::MOVIE), false),
        (ids("director"), false),
        (ids(Batch::USER), false),
        (ids("friends"), false),
    ];
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn a_model_learns_from_columns_of_any_names() {
    let (modalities, batch) = (trailers(), batch());
    let wiring = Wiring::of(&config(&TABLES), &schema(), &modalities).unwrap();
    let mut model = Dlrm::new(config(&TABLES), 1).unwrap();
    let settings = OptimizerConfig {
        learning_rate: 0.05,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(settings, &model).unwrap();
    let mut gradients = Gradients::with_seed(1);
    let actors = |model: &Dlrm| {
        let values = model.parameters().tables[0].values();
        values.unwrap().into_owned()
    };
    let before = actors(&model);
    let mut step = |model: &mut Dlrm| {
        let learn = |inputs: &Inputs| {
            optimizer.learn(
                model,
                (inputs, &batch.stars),
                Loss::Mse,
                &mut gradients,
                1.0,
            )
        };
        wiring.with(&batch, learn).unwrap()
    };
    let first = step(&mut model);
    // Actors 0, 1, 2 and 4 are in the batch, 3 is not, and 5 is nobody.
    let after = actors(&model);
    let rows = before.chunks(4).zip(after.chunks(4));
    let moved: Vec<bool> = rows.map(|(before, after)| before != after).collect();
    assert_eq!(moved, [true, true, true, false, true, false]);
    let last = (0..30).map(|_| step(&mut model)).last().unwrap();
    assert!(last < first / 2.0, "{first} {last}");
}

#[test]
fn what_the_data_lacks_is_refused_by_name() {
    let modalities = trailers();
    let refused = |config: &DlrmConfig, schema: &BatchSchema, parts: &[&str]| {
        let error = Wiring::of(config, schema, &modalities).err().unwrap();
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let of_data = "the data only 'user', 'movie', 'friends', 'rated_friends', 'director', 'actor'";
    for table in ["genre", "rated_actor", "rated_user", "weather", "trailer"] {
        let name = format!("'{table}'");
        refused(&config(&[(table, 9)]), &schema(), &[&name, of_data]);
    }
    for (table, rows) in TABLES {
        let needed = if table == "actor" { 5 } else { rows };
        let few = format!(
            "table '{table}' has {} rows, the data needs {needed}",
            needed - 1
        );
        refused(&config(&[(table, needed - 1)]), &schema(), &[&few]);
    }

    let mut other = config(&[]);
    other.modalities[0].width = 3;
    let parts = ["'trailer' vectors of 3", "it has 'trailer' of 2"];
    refused(&other, &schema(), &parts);
    let bare = BatchSchema::new(3, 2, schema().columns()[2..].to_vec()).unwrap();
    refused(&config(&[]), &bare, &["'trailer' vectors of 2", "has none"]);

    let mut other = config(&[]);
    other.bottoms[0] = BottomConfig::new(Side::Pair, 0..3, vec![4]);
    let parts = ["takes 3 dense features", "the data has 2 in 'weather'"];
    refused(&other, &schema(), &parts);
    let moods = ColumnField::new("mood", ColumnKind::dense(["joy", "awe"]));
    let columns = schema()
        .columns()
        .iter()
        .cloned()
        .chain([moods])
        .collect::<Vec<_>>();
    let two = BatchSchema::new(3, 2, columns).unwrap();
    refused(&config(&[]), &two, &["2 in 'weather', 2 in 'mood'"]);
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let modalities = trailers();
    let wiring = Wiring::of(&config(&TABLES), &schema(), &modalities).unwrap();
    let refused = |batch: &Batch, part: &str| {
        let error = wiring.with(batch, |_| Ok::<_, Error>(())).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(part), "{error}");
    };
    let batch = batch();
    let rows = Batch::of(&[Rated::default(); SAMPLES]);
    refused(
        &rows,
        "the columns of the batch are none, those of the model's data 'trailer'",
    );
    let names: Vec<String> = names(&schema()).map(str::to_owned).collect();
    for (place, name) in names.iter().enumerate() {
        let mut columns = batch.columns().to_vec();
        let what = format!("column '{name}' of the batch is not what the schema says");
        let few = rows
            .clone()
            .with_columns(&schema(), columns[..place].to_vec());
        assert!(wiring.with(&few, |_| Ok::<_, Error>(())).is_err(), "{name}");
        columns[place] = match columns[place] {
            Column::Dense { .. } => Column::Ids(vec![0; SAMPLES]),
            _ => Column::Dense {
                width: 1,
                values: vec![0.0; SAMPLES],
            },
        };
        refused(&rows.clone().with_columns(&schema(), columns), &what);
    }
}

#[test]
fn columns_of_the_same_names_that_hold_something_else_are_refused() {
    let modalities = trailers();
    let wiring = Wiring::of(&config(&TABLES), &schema(), &modalities).unwrap();
    let others = [
        ("friends", ColumnKind::Ids { ids: 3 }),
        ("weather", ColumnKind::dense(["wind", "rain"])),
        ("trailer", ColumnKind::Vectors { width: 5 }),
    ];
    for (name, kind) in others {
        let mut columns = schema().columns().to_vec();
        let column = columns.iter_mut().find(|column| column.name == name);
        let column = column.unwrap();
        assert_ne!(column.kind, kind);
        column.kind = kind;
        let other = BatchSchema::new(3, 2, columns).unwrap();
        let batch = Batch::of(&[Rated::default(); SAMPLES]);
        let batch = batch.with_columns(&other, self::batch().columns().to_vec());
        let error = wiring.with(&batch, |_| Ok::<_, Error>(())).unwrap_err();
        let part = format!("column '{name}' of the batch is");
        assert!(error.to_string().contains(&part), "{error}");
    }
}

#[test]
fn dense_features_of_another_number_are_refused() {
    let modalities = trailers();
    let wiring = Wiring::of(&config(&TABLES), &schema(), &modalities).unwrap();
    for (width, length) in [(2, 2 * SAMPLES - 2), (4, 4 * SAMPLES), (1, 2 * SAMPLES)] {
        let mut batch = batch();
        *batch.column_mut("weather").unwrap() = Column::Dense {
            width,
            values: vec![0.5; length],
        };
        let error = wiring.with(&batch, |_| Ok::<_, Error>(())).unwrap_err();
        assert!(error.to_string().contains("'weather'"), "{error}");
    }
}
