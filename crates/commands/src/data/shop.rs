use std::path::PathBuf;
use std::time::Instant;

use mmdlrm::data::generate::PlantedShop;

use crate::Result;
use crate::program::print;

/// Make up a shop: purchases.parquet, products.parquet and customers.csv
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write them into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of customers
    #[arg(long, default_value_t = PlantedShop::default().customers)]
    customers: u32,
    /// Number of products
    #[arg(long, default_value_t = PlantedShop::default().products)]
    products: u32,
    /// Number of purchases
    #[arg(long, default_value_t = PlantedShop::default().purchases)]
    purchases: u64,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = PlantedShop::default().seed)]
    seed: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let shop = PlantedShop {
        customers: args.customers,
        products: args.products,
        purchases: args.purchases,
        seed: args.seed,
    };
    shop.write(&args.out)?;
    print(format_args!(
        "wrote {} purchases of {} products by {} customers into {} in {:.1} s",
        shop.purchases,
        shop.products,
        shop.customers,
        args.out.display(),
        start.elapsed().as_secs_f64()
    ))
}
