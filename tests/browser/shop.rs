//! The page of a shop, whose customers and products have names and no stars.

use std::path::Path;

use mmdlrm::data::InteractionFiles;
use mmdlrm::data::generate::PlantedShop;
use mmdlrm::{Experiment, ExperimentConfig, Preset, Silent, Source};

use super::driver::{DOWN, ENTER};
use super::page::Opened;
use super::support::server::Server;

/// Trains on a made-up shop, and serves what comes of it.
fn serve(folder: &Path) -> Server {
    let shop = PlantedShop {
        customers: 60,
        products: 80,
        purchases: 1_500,
        ..PlantedShop::default()
    };
    shop.write(folder).unwrap();
    let files = InteractionFiles {
        interactions: folder.join("purchases.parquet"),
        users: Some(folder.join("customers.csv")),
        items: Some(folder.join("products.parquet")),
        ..InteractionFiles::default()
    };
    let mut config = ExperimentConfig {
        source: Source::Tables(files),
        out: folder.join("run"),
        ..ExperimentConfig::of(Preset::Rank)
    };
    config.train.epochs = 1;
    Experiment::new(config).unwrap().run(&mut Silent).unwrap();
    Server::start_with(folder, &["--run", "run"])
}

#[test]
fn a_shop_is_shown_in_its_own_words_and_its_products_are_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut opened) = Opened::on(|| serve(folder.path())) else {
        return;
    };
    let page = opened.open("/");
    assert_eq!(
        page.text("document.querySelector('h1').textContent"),
        "What to choose"
    );
    assert_eq!(
        page.text("document.querySelector('#tab-visitor').textContent"),
        "Products you know"
    );
    let user = page.text("document.querySelector('#user-id').value");
    assert!(user.starts_with('c'), "{user}");
    page.wait_for("document.querySelectorAll('#rated [data-film^=sku]').length > 3");
    let text = page.text("document.body.innerText").to_lowercase();
    for word in ["film", "movie", "star", "watched", "genre", "year"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    page.value("document.querySelector('#somebody').click()");
    page.wait_for("location.search.startsWith('?user=c')");

    let page = opened.open("/?tab=visitor");
    page.value("document.querySelector('#title').focus()");
    page.write("no. 1");
    page.wait_for("document.querySelector('#title').ariaExpanded === 'true'");
    page.press(DOWN);
    page.press(ENTER);
    page.wait_for("/^\\?tab=visitor&films=sku-\\d+$/.test(location.search)");
    page.wait_for("document.querySelector('#shelves h3')?.textContent === 'For you'");
    assert_eq!(
        page.value("document.querySelectorAll('#chosen input').length"),
        0
    );
    page.value("document.querySelector('#chosen .remove').click()");
    page.wait_for("location.search === '?tab=visitor'");
    assert!(page.console.is_empty(), "{:?}", page.console);
}
