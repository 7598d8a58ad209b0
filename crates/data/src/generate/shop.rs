//! A made-up shop: customers, products, and who bought what.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, Float32Array, Int8Array, Int32Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::cache::beside;
use crate::{Error, Result};

/// A shop of any size, with texts as ids: `purchases.parquet`, `products.parquet` and
/// `customers.csv`.
///
/// Customers have two kinds of products that they like and a town; products have a kind, a brand,
/// colours, a price, and a `look`, a vector that tells the kind. Seven purchases of ten are of a
/// kind that the customer likes, popular products more often than others. A `review` from 1 to 5
/// goes with each: from 3 on for a kind that is liked, up to 3 for others.
///
/// The same settings give the same tables, on any machine.
///
/// ```
/// use mmdlrm_data::generate::PlantedShop;
/// use mmdlrm_data::{InteractionFiles, Target};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let shop = PlantedShop { purchases: 2_000, ..PlantedShop::default() };
/// shop.write(folder)?;
/// let files = InteractionFiles {
///     interactions: folder.join("purchases.parquet"),
///     users: Some(folder.join("customers.csv")),
///     items: Some(folder.join("products.parquet")),
///     ..InteractionFiles::default()
/// };
/// let purchases = files.open()?;
/// assert_eq!(purchases.ratings.target(), Target::Implicit);
/// assert_eq!(purchases.items.len(), 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantedShop {
    /// Number of customers.
    pub customers: u32,
    /// Number of products.
    pub products: u32,
    /// Number of purchases, some of the same product by the same customer.
    pub purchases: u64,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for PlantedShop {
    /// 1,000 customers, 500 products, 20,000 purchases, seed 42.
    fn default() -> Self {
        Self {
            customers: 1_000,
            products: 500,
            purchases: 20_000,
            seed: 42,
        }
    }
}

const KINDS: [&str; 20] = [
    "bags", "belts", "books", "boots", "bowls", "chairs", "coats", "cups", "desks", "games",
    "gloves", "hats", "jackets", "knives", "lamps", "pens", "rugs", "shirts", "shoes", "watches",
];
const COLOURS: [&str; 8] = [
    "black", "blue", "brown", "green", "grey", "red", "white", "yellow",
];
const TOWNS: [&str; 6] = ["Aachen", "Bern", "Graz", "Jena", "Kiel", "Ulm"];
const SHOPS: [&str; 3] = ["app", "store", "web"];
/// Numbers of a product's look.
const LOOK: usize = 8;
/// Of ten purchases so many are of a kind that the customer likes.
const LIKED: u32 = 7;
/// The first purchase, in milliseconds since 1970, and the days over which they are spread.
const BEGINS: i64 = 1_767_225_600_000;
const DAYS: i64 = 180;
const MILLISECONDS_A_DAY: i64 = 86_400_000;
/// Rows that are written at a time.
const ROWS: u64 = 1 << 18;

impl PlantedShop {
    /// Writes the three tables into the folder `dir`, in place of what they were.
    ///
    /// # Errors
    /// A shop without customers, products or purchases; a folder that cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        for (setting, value) in [
            ("customers", u64::from(self.customers)),
            ("products", u64::from(self.products)),
            ("purchases", self.purchases),
        ] {
            if value == 0 {
                return Err(Error::setting(setting, value, "it must be 1 or more"));
            }
        }
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        let products = self.products()?;
        write_parquet(&dir.join("products.parquet"), [Ok(products)])?;
        self.write_customers(&dir.join("customers.csv"))?;
        let chunks = (0..self.purchases).step_by(ROWS as usize);
        let chunks = chunks.map(|first| self.purchases(first, ROWS.min(self.purchases - first)));
        write_parquet(&dir.join("purchases.parquet"), chunks)
    }

    /// What is drawn of one thing of one sort.
    fn draw(&self, sort: u64, number: u64) -> ChaCha8Rng {
        let mut draw = ChaCha8Rng::seed_from_u64(self.seed);
        draw.set_stream(sort);
        draw.set_word_pos(u128::from(number) * 64);
        draw
    }

    fn kind(&self, product: u32) -> usize {
        self.draw(1, product.into()).random_range(0..KINDS.len())
    }

    fn liked(&self, customer: u32) -> [usize; 2] {
        let mut draw = self.draw(2, customer.into());
        [0; 2].map(|_| draw.random_range(0..KINDS.len()))
    }

    fn products(&self) -> Result<RecordBatch> {
        let numbers = 0..self.products;
        let names = numbers
            .clone()
            .map(|product| Some(format!("sku-{product:07}")));
        let names: StringArray = names.collect();
        let (mut titles, mut kinds, mut brands) = (vec![], vec![], vec![]);
        let mut colours = ListBuilder::new(StringBuilder::new());
        let mut prices = Vec::new();
        let mut looks = FixedSizeListBuilder::new(Float32Builder::new(), LOOK as i32);
        for product in numbers {
            let kind = self.kind(product);
            let mut draw = self.draw(3, product.into());
            let colour = COLOURS[draw.random_range(0..COLOURS.len())];
            colours.values().append_value(colour);
            if draw.random_ratio(1, 3) {
                colours
                    .values()
                    .append_value(COLOURS[draw.random_range(0..COLOURS.len())]);
            }
            colours.append(true);
            titles.push(format!("{} {} no. {product}", capital(colour), KINDS[kind]));
            kinds.push(KINDS[kind]);
            brands.push(format!("brand {}", draw.random_range(0..40)));
            // One price of twenty is not known.
            let cents = draw.random_range(300..20_000i16);
            prices.push((!draw.random_ratio(1, 20)).then_some(f32::from(cents) / 100.0));
            let mut of_kind = self.draw(4, kind as u64);
            for _ in 0..LOOK {
                let common: f32 = of_kind.random_range(-1.0..1.0);
                let own: f32 = draw.random_range(-0.3..0.3);
                looks.values().append_value(common + own);
            }
            looks.append(true);
        }
        let columns: [(&str, ArrayRef); 7] = [
            ("sku", Arc::new(names)),
            ("title", Arc::new(StringArray::from(titles))),
            ("kind", Arc::new(StringArray::from(kinds))),
            ("brand", Arc::new(StringArray::from(brands))),
            ("colours", Arc::new(colours.finish())),
            ("price", Arc::new(Float32Array::from(prices))),
            ("look", Arc::new(looks.finish())),
        ];
        RecordBatch::try_from_iter(columns).map_err(Error::table("products"))
    }

    fn write_customers(&self, path: &Path) -> Result<()> {
        use std::io::Write;
        let mut out = std::io::BufWriter::new(beside(path)?);
        let mut text = String::from("customer_id,town,age\n");
        for customer in 0..self.customers {
            let mut draw = self.draw(5, customer.into());
            let town = TOWNS[draw.random_range(0..TOWNS.len())];
            let age: u8 = draw.random_range(16..90);
            text.push_str(&format!("c{customer:08},{town},{age}\n"));
        }
        out.write_all(text.as_bytes()).map_err(Error::write(path))?;
        let file = out.into_inner();
        let file = file.map_err(|error| Error::write(path)(error.into_error()))?;
        let placed = file.persist(path);
        placed.map_err(|error| Error::write(path)(error.error))?;
        Ok(())
    }

    /// Purchases by number, in the order of their times.
    fn purchases(&self, first: u64, count: u64) -> Result<RecordBatch> {
        let of_kind: Vec<Vec<u32>> = {
            let mut of_kind = vec![Vec::new(); KINDS.len()];
            (0..self.products).for_each(|it| of_kind[self.kind(it)].push(it));
            of_kind
        };
        let count = count as usize;
        let (mut who, mut what) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut reviews, mut amounts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut shops, mut times) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for number in first..first + count as u64 {
            let mut draw = self.draw(6, number);
            let customer = skewed(&mut draw, self.customers, 1.6);
            let liked = self.liked(customer);
            let is_liked = draw.random_ratio(LIKED, 10);
            let wanted = &of_kind[liked[draw.random_range(0..2)]];
            let product = match is_liked && !wanted.is_empty() {
                true => wanted[skewed(&mut draw, wanted.len() as u32, 2.5) as usize],
                false => skewed(&mut draw, self.products, 2.5),
            };
            let review =
                draw.random_range(1..=3) + 2 * i8::from(liked.contains(&self.kind(product)));
            let share = number as f64 / self.purchases as f64;
            who.push(format!("c{customer:08}"));
            what.push(format!("sku-{product:07}"));
            reviews.push(review);
            amounts.push(draw.random_range(1..4));
            shops.push(SHOPS[draw.random_range(0..SHOPS.len())]);
            times.push(BEGINS + (share * (DAYS * MILLISECONDS_A_DAY) as f64) as i64);
        }
        let columns: [(&str, ArrayRef); 6] = [
            ("customer_id", Arc::new(StringArray::from(who))),
            ("sku", Arc::new(StringArray::from(what))),
            ("review", Arc::new(Int8Array::from(reviews))),
            ("amount", Arc::new(Int32Array::from(amounts))),
            ("shop", Arc::new(StringArray::from(shops))),
            ("time", Arc::new(TimestampMillisecondArray::from(times))),
        ];
        RecordBatch::try_from_iter(columns).map_err(Error::table("purchases"))
    }
}

/// One of `count`, the first more often than the last.
fn skewed(draw: &mut ChaCha8Rng, count: u32, exponent: f64) -> u32 {
    let share: f64 = draw.random();
    ((libm::pow(share, exponent) * f64::from(count)) as u32).min(count - 1)
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn write_parquet(
    path: &Path,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
) -> Result<()> {
    let parquet = |source: parquet::errors::ParquetError| Error::Write {
        path: PathBuf::from(path),
        source: std::io::Error::other(source),
    };
    let file = beside(path)?;
    let mut writer: Option<ArrowWriter<_>> = None;
    for batch in batches {
        let batch = batch?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => {
                let out = file.as_file().try_clone().map_err(Error::write(path))?;
                none.insert(ArrowWriter::try_new(out, batch.schema(), None).map_err(parquet)?)
            }
        };
        writer.write(&batch).map_err(parquet)?;
    }
    if let Some(writer) = writer {
        writer.close().map_err(parquet)?;
    }
    file.persist(path)
        .map_err(|error| Error::write(path)(error.error))?;
    Ok(())
}
