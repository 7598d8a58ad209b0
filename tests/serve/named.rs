//! Data of anybody's, whose users and items have names.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use mmdlrm::data::InteractionFiles;
use mmdlrm::data::generate::PlantedShop;
use mmdlrm::{Experiment, ExperimentConfig, Silent, Source};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Ask, JSON};
use crate::support::server::Server;

/// Users and items whose names mean something in a path.
const USERS: [&str; 5] = ["Jürgen Groß", "a/b", "who?", "50%", "x#y&z=1"];
const ITEMS: [&str; 5] = ["tea/green", "café au lait", "100% juice", "a:b+c", "../etc"];
/// Ids beyond 32 bits.
const FIRST_ID: i64 = 9_007_199_254_740_993;

/// Trains on tables, into `run` beside them.
fn train(folder: &Path, files: InteractionFiles) {
    let mut config = ExperimentConfig {
        source: Source::Tables(files),
        out: folder.join("run"),
        ..ExperimentConfig::default()
    };
    config.train.epochs = 1;
    Experiment::new(config).unwrap().run(&mut Silent).unwrap();
}

/// A server of what was trained in a folder, which is made once.
fn serve(run: &OnceLock<TempDir>, made: impl FnOnce() -> TempDir) -> Server {
    Server::start_with(run.get_or_init(made).path(), &["--run", "run"])
}

/// A server of a made-up shop, which knows what was bought and not how it was liked.
fn shop() -> Server {
    static SHOP: OnceLock<TempDir> = OnceLock::new();
    serve(&SHOP, || {
        let folder = tempfile::tempdir().unwrap();
        let shop = PlantedShop {
            customers: 30,
            products: 40,
            purchases: 600,
            ..PlantedShop::default()
        };
        shop.write(folder.path()).unwrap();
        let files = InteractionFiles {
            interactions: folder.path().join("purchases.parquet"),
            users: Some(folder.path().join("customers.csv")),
            items: Some(folder.path().join("products.parquet")),
            ..InteractionFiles::default()
        };
        train(folder.path(), files);
        folder
    })
}

/// A server of drinks, rated from 0 to 100.
fn drinks() -> Server {
    static DRINKS: OnceLock<TempDir> = OnceLock::new();
    serve(&DRINKS, || {
        let folder = tempfile::tempdir().unwrap();
        let mut ratings = String::from("user_id,item_id,rating,timestamp\n");
        for row in 0..200 {
            // Each user rates each item once.
            let (user, item) = (row / 10, row % 10);
            let (user, item) = (name(&USERS, user), name(&ITEMS, item));
            writeln!(ratings, "{user},{item},{},{}", row * 37 % 101, 1_000 + row).unwrap();
        }
        let mut drinks = String::from("item_id,title,kind\n");
        for item in 0..10 {
            let kind = ["hot", "cold"][item % 2];
            writeln!(drinks, "{},Drink no. {item},{kind}", name(&ITEMS, item)).unwrap();
        }
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = InteractionFiles {
            interactions: write("ratings.csv", &ratings),
            items: Some(write("drinks.csv", &drinks)),
            ..InteractionFiles::default()
        };
        train(folder.path(), files);
        folder
    })
}

/// A server of what was clicked and what was not, by numbers too long for 32 bits.
fn links() -> Server {
    static LINKS: OnceLock<TempDir> = OnceLock::new();
    serve(&LINKS, || {
        let folder = tempfile::tempdir().unwrap();
        let mut clicks = String::from("user_id,item_id,clicked\n");
        for row in 0..400 {
            let (user, item) = (FIRST_ID + row / 20, FIRST_ID + row % 20);
            writeln!(clicks, "{user},{item},{}", row * 7 % 3 % 2).unwrap();
        }
        let path = folder.path().join("clicks.csv");
        std::fs::write(&path, clicks).unwrap();
        let files = InteractionFiles {
            interactions: path,
            ..InteractionFiles::default()
        };
        train(folder.path(), files);
        folder
    })
}

fn name(odd: &[&str], place: usize) -> String {
    let odd = odd.get(place);
    odd.map_or_else(|| format!("plain-{place}"), |name| (*name).to_owned())
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    let bytes = name.bytes();
    bytes.map(|byte| format!("%{byte:02x}")).collect()
}

/// What is recommended to a visitor with these ratings.
fn visit(server: &Server, ratings: &Value) -> (u16, Value) {
    let asked = json!({"ratings": ratings}).to_string();
    let (status, body) = server.post("/api/visitors", JSON, asked.as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_shop_is_told_of_in_its_own_names_and_words() {
    let server = &shop();
    let info = server.json("/api/info");
    assert_eq!((&info["movies"], &info["users"]), (&json!(40), &json!(30)));
    assert!(info["user_ids"].is_null() && info["years"].is_null());
    let words = &info["words"];
    assert_eq!(words["item"], "product");
    assert_eq!(words["ratings"], "purchases");
    assert_eq!(words["rated"], "chose");
    assert!(words["scale"].is_null() && words["are_probabilities"] == true);
    let examples = info["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 20);
    assert_eq!(examples[0], "c00000000");

    let user = info["opens_on"].as_str().unwrap();
    let told = server.json(&format!("/api/users/{user}"));
    assert_eq!(told["id"], user);
    let bought = &told["rated"][0];
    assert_eq!(bought["stars"], 1.0);
    let sku = bought["movie"]["id"].as_str().unwrap();
    assert!(sku.starts_with("sku-"), "{sku}");
    assert_eq!(
        server.json(&format!("/api/movies/{sku}")),
        bought["movie"],
        "{sku}"
    );
    let found = server.json(&format!("/api/users/{user}/recommendations?count=5"));
    for found in found.as_array().unwrap() {
        assert!(found["stars"].is_null() && found["movie"]["id"].is_string());
        assert!(found["movie"]["year"].is_null() && found["movie"]["poster"].is_null());
    }
    let shelves = server.json(&format!("/api/users/{user}/shelves"));
    assert_eq!(shelves[0]["title"], "For you");
    let similar = server.json(&format!("/api/movies/{sku}/similar?count=3"));
    assert!(similar[2]["movie"]["id"].is_string());

    // What is chosen is chosen whole.
    let (status, found) = visit(server, &json!([{"movie": sku}]));
    assert_eq!(status, 200, "{found}");
    assert_eq!(visit(server, &json!([{"movie": sku, "stars": 1}])).1, found);
    let (status, body) = visit(server, &json!([{"movie": sku, "stars": 5}]));
    assert_eq!(status, 422, "{body}");
}

#[test]
fn names_may_have_any_characters() {
    let server = &drinks();
    for user in USERS {
        let told = server.json(&format!("/api/users/{}", encoded(user)));
        assert_eq!(told["id"], user);
        for item in ITEMS {
            let movie = server.json(&format!("/api/movies/{}", encoded(item)));
            assert_eq!(movie["id"], item);
            let path = format!("/api/users/{}/stars/{}", encoded(user), encoded(item));
            let stars = server.json(&path)["stars"].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&stars), "{stars}");
        }
    }
    let (status, found) = visit(server, &json!([{"movie": "tea/green", "stars": 80}]));
    assert_eq!(status, 200, "{found}");
}

#[test]
fn ratings_are_on_the_scale_of_the_data() {
    let server = &drinks();
    let words = &server.json("/api/info")["words"];
    assert_eq!(words["item"], "drink");
    assert_eq!(words["scale"], json!([0.0, 100.0]));
    assert_eq!(words["are_probabilities"], false);
    let user = encoded(USERS[0]);
    let rated = server.json(&format!("/api/users/{user}?count=100"))["rated"].clone();
    let stars = rated.as_array().unwrap().iter();
    let most = stars
        .filter_map(|it| it["stars"].as_f64())
        .fold(0.0, f64::max);
    assert!(most > 5.0, "{rated}");

    // Without stars the most there is.
    let with = |stars: Value| visit(server, &json!([{"movie": "a:b+c", "stars": stars}]));
    let (status, best) = visit(server, &json!([{"movie": "a:b+c"}]));
    assert_eq!((status, &best), (200, &with(json!(100)).1));
    let (status, body) = with(json!(101));
    assert_eq!(status, 422, "{body}");
    assert!(body["error"].as_str().unwrap().contains("from 0 to 100"));
    assert_eq!(with(Value::Null).0, 422);
}

#[test]
fn ids_of_64_bits_are_texts_so_that_no_digit_is_lost() {
    let server = &links();
    let info = server.json("/api/info");
    assert_eq!(info["examples"][0], FIRST_ID.to_string());
    assert_eq!(info["words"]["scale"], json!([0.0, 1.0]));
    let user = server.json(&format!("/api/users/{FIRST_ID}"));
    assert_eq!(user["id"], FIRST_ID.to_string());
    let (status, found) = visit(server, &json!([{"movie": FIRST_ID.to_string()}]));
    assert_eq!(status, 200, "{found}");
    let likely = found[0]["stars"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&likely), "{likely}");
    let (status, body) = visit(server, &json!([{"movie": FIRST_ID}]));
    assert_eq!(status, 422, "{body}");
}

#[test]
fn nobody_of_an_unknown_name_is_told_of() {
    let server = &drinks();
    let unknown = [
        "/api/users/nobody",
        "/api/users/nobody/recommendations",
        "/api/users/nobody/shelves",
        "/api/users/nobody/stars/plain-7",
        "/api/users/plain-7/stars/nobody",
        "/api/movies/nobody",
        "/api/movies/nobody/similar",
        "/posters/nobody",
        // Numbers of names are no names.
        "/api/users/0",
        "/api/movies/0",
        "/posters/..%2f..%2fetc%2fpasswd",
    ];
    for path in unknown {
        let (status, body) = server.get(path);
        assert_eq!(status, 404, "{path}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = body["error"].as_str().unwrap();
        assert!(error.contains("called '"), "{path}: {error}");
    }
    let (status, body) = visit(server, &json!([{"movie": "nobody"}]));
    assert_eq!(status, 404, "{body}");
    let (status, body) = server.get("/api/users/%ff");
    assert_eq!(status, 400, "{body}");
    assert_eq!(server.get("/posters/tea%2Fgreen").0, 404);
}
