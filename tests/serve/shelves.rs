//! Rows of recommendations, visitors by titles, and what narrows both.

use serde_json::{Value, json};

use crate::client::{Ask, JSON};
use crate::start;
use crate::support::server::Server;

/// The answer to a visitor.
#[track_caller]
fn visitor(server: &Server, path: &str, visitor: &Value) -> (u16, Value) {
    let (status, body) = server.post(path, JSON, visitor.to_string().as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

fn movies(shelf: &Value) -> Vec<u64> {
    let movies = shelf["movies"].as_array().unwrap().iter();
    movies
        .map(|it| it["movie"]["id"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_server_opens_on_a_user_with_a_history_and_rows_of_recommendations() {
    let server = start();
    let user = server.json("/api/info")["opens_on"].as_u64().unwrap();
    let told = server.json(&format!("/api/users/{user}"));
    assert_eq!(told["id"], user);
    let count = told["ratings"].as_u64().unwrap();
    let rated = told["rated"].as_array().unwrap();
    assert_eq!(rated.len() as u64, count.min(20));
    assert!(rated[0]["movie"]["title"].is_string() && rated[0]["stars"].as_f64() >= Some(0.5));
    let all = server.json(&format!("/api/users/{user}?count=100"));
    let all = all["rated"].as_array().unwrap();
    assert_eq!(all.len() as u64, count.min(100));
    assert_eq!(all[..rated.len()], rated[..]);

    let shelves = server.json(&format!("/api/users/{user}/shelves?count=12"));
    let shelves = shelves.as_array().unwrap();
    assert_eq!(shelves[0]["title"], "For you");
    assert!(shelves[0]["because"].is_null());
    assert_eq!(movies(&shelves[0]).len(), 12);
    assert!(shelves.len() > 1);
    for shelf in &shelves[1..] {
        let title = shelf["title"].as_str().unwrap();
        assert!(title.starts_with("Because you watched "), "{title}");
        assert!(shelf["because"]["id"].is_u64());
        assert!((4..=12).contains(&movies(shelf).len()));
    }
}

#[test]
fn wishes_narrow_what_is_recommended() {
    let server = start();
    let info = server.json("/api/info");
    let user = info["opens_on"].as_u64().unwrap();
    let ask = |wish: &str| {
        let path = format!("/api/users/{user}/recommendations?count=8&{wish}");
        let found = server.json(&path);
        let found = found.as_array().unwrap().iter();
        found
            .map(|it| it["movie"]["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let best = ask("");
    let varied = ask("variety=0.9");
    assert_ne!(varied, best);
    assert_eq!(varied[0], best[0]);
    assert_eq!(ask("variety=0&less_popular=false"), best);
    assert_eq!(ask("less_popular=true").len(), 8);
    assert!(ask("from=1000&to=1001").is_empty());
    let most_watched = |less_popular: bool| {
        let asked = json!({"ratings": [], "wish": {"less_popular": less_popular}});
        let (_, shelves) = visitor(&server, "/api/visitors/shelves", &asked);
        movies(&shelves[0])
    };
    let (popular, others) = (most_watched(false), most_watched(true));
    assert!(others.len() == 10 && others.iter().all(|id| !popular.contains(id)));
    let none = server.json(&format!("/api/users/{user}/shelves?to=1001"));
    assert_eq!(none, json!([]));
}

#[test]
fn visitors_name_movies_by_titles() {
    let server = start();
    let found = server.json("/api/movies?title=the&count=100");
    let found = found.as_array().unwrap();
    let titled = |movie: &Value| {
        let (title, year) = (&movie["title"], &movie["year"]);
        format!("{} ({year})", title.as_str().unwrap())
    };
    let only = |movie: &&Value| {
        found
            .iter()
            .filter(|it| titled(it) == titled(movie))
            .count()
            == 1
    };
    let movie = found.iter().find(only).unwrap();
    let ask = |ratings: Value| {
        let asked = json!({"ratings": ratings, "wish": {"count": 4}});
        visitor(&server, "/api/visitors", &asked)
    };
    let by_id = ask(json!([{"movie": movie["id"], "stars": 5.0}]));
    assert_eq!(by_id.0, 200);
    assert_eq!(ask(json!([{"title": titled(movie).to_uppercase()}])), by_id);
    assert_ne!(ask(json!([{"title": titled(movie), "stars": 1}])), by_id);

    let shelves = |ratings: Value| {
        let asked = json!({"ratings": ratings, "wish": {"count": 6}});
        let (status, shelves) = visitor(&server, "/api/visitors/shelves", &asked);
        assert_eq!(status, 200, "{shelves}");
        shelves.as_array().unwrap().clone()
    };
    let own = shelves(json!([{"title": titled(movie)}]));
    assert_eq!(own[0]["title"], "For you");
    assert!(
        own.iter()
            .all(|it| !movies(it).contains(&movie["id"].as_u64().unwrap()))
    );
    let most_watched = shelves(json!([]));
    assert_eq!(most_watched.len(), 1);
    assert_eq!(most_watched[0]["title"], "Most watched");
    assert_eq!(movies(&most_watched[0]).len(), 6);
}

#[test]
fn what_a_wish_or_a_title_lacks_is_said_in_words() {
    let server = start();
    let user = server.json("/api/info")["opens_on"].as_u64().unwrap();
    let of_user = |wish: &str| server.get(&format!("/api/users/{user}/shelves?{wish}"));
    for (wish, expected, part) in [
        ("variety=2", 422, "variety is 2"),
        ("variety=NaN", 422, "variety is NaN"),
        ("variety=some", 400, "variety"),
        ("count=0", 422, "count is 0"),
        ("count=101", 422, "1 to 100"),
        ("genres=Cooking", 422, "Cooking"),
        ("less_popular=perhaps", 400, "less_popular"),
    ] {
        let (status, body) = of_user(wish);
        assert_eq!(status, expected, "{wish}: {body}");
        assert!(body.contains(part), "{wish}: {body}");
    }
    assert_eq!(server.get("/api/users/0").0, 404);
    assert_eq!(server.get("/api/users/0/shelves").0, 404);
    assert_eq!(server.get(&format!("/api/users/{user}?count=0")).0, 422);

    let movie = server.json("/api/movies?title=the")[0].clone();
    let (id, title) = (&movie["id"], &movie["title"]);
    let title = format!("{} ({})", title.as_str().unwrap(), movie["year"]);
    let both = json!({"movie": id, "title": title});
    for (rating, expected, part) in [
        (
            vec![json!({"title": "§§§"})],
            404,
            "no movie is called '§§§'",
        ),
        (vec![json!({"title": "the"})], 400, "may be any of"),
        (
            vec![json!({"title": "a".repeat(201)})],
            422,
            "200 characters",
        ),
        (vec![both], 422, "a rating names a movie"),
        (vec![json!({"stars": 3})], 422, "a rating names a movie"),
        (
            vec![json!({"movie": 999_999_999})],
            404,
            "no movie 999999999",
        ),
        (vec![json!({"movie": id, "stars": 0})], 422, "from 0.5 to 5"),
        (
            vec![json!({"movie": id}), json!({"title": title, "stars": 1})],
            422,
            "each can be rated once",
        ),
    ] {
        for path in ["/api/visitors", "/api/visitors/shelves"] {
            let (status, body) = visitor(&server, path, &json!({"ratings": rating}));
            assert_eq!(status, expected, "{rating:?}: {body}");
            let error = body["error"].as_str().unwrap();
            assert!(error.contains(part), "{rating:?}: {error}");
        }
    }
    // Up to five that could be meant.
    let (_, body) = visitor(
        &server,
        "/api/visitors",
        &json!({"ratings": [{"title": "the"}]}),
    );
    let error = body["error"].as_str().unwrap();
    assert_eq!(error.matches("), ").count(), 5, "{error}");
}
