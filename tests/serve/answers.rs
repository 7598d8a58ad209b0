//! What is answered when all is well.

use mmdlrm::data::generate::GeneratorConfig;
use serde_json::{Value, json};

use crate::client::{Ask, FORM, JSON, form};
use crate::{run, start};

#[test]
fn questions_are_answered_with_titles_stars_and_reasons() {
    let server = start();
    assert_eq!(server.get("/health"), (200, "ok".to_owned()));
    let info = server.json("/api/info");
    assert_eq!(info["movies"], 1200);
    let user = info["user_ids"][0].as_u64().unwrap();

    let path = format!("/api/users/{user}/recommendations?count=5");
    let found = server.json(&path);
    assert_eq!(found.as_array().unwrap().len(), 5);
    let first = &found[0];
    assert!(first["stars"].as_f64().unwrap() >= found[4]["stars"].as_f64().unwrap());
    for title in ["title", "name", "full_name"] {
        assert!(!first["movie"][title].as_str().unwrap().is_empty());
    }
    assert!(!first["reasons"].as_array().unwrap().is_empty());
    let id = first["movie"]["id"].as_u64().unwrap();
    let stars = server.json(&format!("/api/users/{user}/stars/{id}"));
    assert!((stars["stars"].as_f64().unwrap() - first["stars"].as_f64().unwrap()).abs() < 1e-3);

    let genre = info["genres"][0].as_str().unwrap();
    let narrow = server.json(&format!("{path}&genres={genre}&from=1980&to=1999"));
    for found in narrow.as_array().unwrap() {
        assert!(
            found["movie"]["genres"]
                .as_array()
                .unwrap()
                .contains(&json!(genre))
        );
    }
    assert_eq!(
        server
            .json(&format!("/api/movies/{id}/similar"))
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let title = first["movie"]["title"].as_str().unwrap().replace(' ', "+");
    let named = server.json(&format!("/api/movies?title={title}"));
    assert!(
        named
            .as_array()
            .unwrap()
            .iter()
            .any(|movie| movie["id"] == id)
    );

    let visitor = json!({"ratings": [{"movie": id, "stars": 5}], "wish": {"count": 3}});
    let (status, body) = server.post("/api/visitors", JSON, visitor.to_string().as_bytes());
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 3);

    let sample = GeneratorConfig::default().folder_name();
    let poster = std::fs::read_dir(run().join("runs").join(sample).join("posters")).unwrap();
    let poster = std::fs::read(poster.into_iter().next().unwrap().unwrap().path()).unwrap();
    let fields: [(&str, &[u8]); 4] = [
        ("poster", &poster),
        ("plot", b"A robot."),
        ("year", b"1999"),
        ("count", b"4"),
    ];
    let (status, body) = server.post("/api/newcomers", FORM, &form(&fields));
    assert_eq!(status, 200, "{body}");
    let fans: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(fans.as_array().unwrap().len(), 4);
}

#[test]
fn the_page_the_description_the_metrics_and_the_posters_are_there() {
    let server = start();
    let (status, page) = server.get("/");
    assert!(status == 200 && page.contains("What to watch"));
    let description = server.json("/openapi.json");
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    for path in [
        "/api/users/{user}/recommendations",
        "/api/visitors",
        "/api/newcomers",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    let movies = server.json("/api/movies?title=the&count=100");
    let movies = movies.as_array().unwrap().iter();
    let path = movies
        .filter_map(|movie| movie["poster"].as_str())
        .next()
        .unwrap();
    assert_eq!(server.get(path).0, 200);
    server.get("/nowhere");
    let (_, metrics) = server.get("/metrics");
    for line in [
        r#"mmdlrm_requests_total{route="/api/movies",status="200"} 1"#,
        r#"mmdlrm_requests_total{route="none",status="404"} 1"#,
        r#"mmdlrm_request_seconds_count{route="/posters/{movie}"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
