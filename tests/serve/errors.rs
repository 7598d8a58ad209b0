//! What is answered when the question is wrong.

use serde_json::{Value, json};

use crate::client::{Ask, FORM, JSON, form, posted};
use crate::start;

#[test]
fn what_is_wrong_is_said_with_a_status_of_4xx_and_the_server_goes_on() {
    let server = start();
    let movie = server.json("/api/movies?title=the")[0]["id"].clone();
    let too_good = json!({"ratings": [{"movie": movie, "stars": 1e30}]}).to_string();
    let huge = vec![b' '; 1 << 20];
    let picture = form(&[("poster", b"\x89PNG not a picture")]);
    let many = format!(
        r#"{{"ratings": [{}]}}"#,
        vec![r#"{"movie":1,"stars":3}"#; 501].join(",")
    );
    let cases = [
        (server.get("/api/users/0/recommendations"), 404, "no user 0"),
        (
            server.get("/api/users/-1/recommendations"),
            400,
            "Invalid URL",
        ),
        (
            server.get("/api/users/1/recommendations?count=0"),
            422,
            "count is 0",
        ),
        (
            server.get("/api/users/1/recommendations?count=1000000000"),
            422,
            "1 to 100",
        ),
        (
            server.get("/api/users/1/recommendations?colour=red"),
            400,
            "colour",
        ),
        (
            server.get("/api/users/1/recommendations?genres=Cooking"),
            422,
            "Cooking",
        ),
        (
            server.get("/api/users/1/stars/999999999"),
            404,
            "no movie 999999999",
        ),
        (
            server.get("/api/movies/99999999999999999999"),
            400,
            "Invalid URL",
        ),
        (server.get("/api/movies"), 400, "title"),
        (
            server.get("/posters/../../../../etc/passwd"),
            404,
            "nothing here",
        ),
        (
            server.get("/posters/..%2f..%2f..%2fetc%2fpasswd"),
            400,
            "Invalid URL",
        ),
        (server.get("/posters/%00"), 400, "Invalid URL"),
        (server.get("/posters/999999999"), 404, "no movie"),
        (server.get("/nowhere"), 404, "nothing here"),
        (server.post("/health", JSON, b""), 405, "not by this method"),
        (
            server.post("/api/visitors", JSON, b"{\"ratings\": ["),
            400,
            "parse",
        ),
        (
            server.post("/api/visitors", JSON, b"\xff\xfe"),
            400,
            "parse",
        ),
        (
            server.post("/api/visitors", JSON, b"{\"stars\": 3}"),
            422,
            "stars",
        ),
        (
            server.post("/api/visitors", "text/plain", b"{}"),
            415,
            "application/json",
        ),
        (
            server.post("/api/visitors", JSON, too_good.as_bytes()),
            422,
            "from 0.5 to 5",
        ),
        (
            server.post("/api/visitors", JSON, many.as_bytes()),
            422,
            "no more than 500",
        ),
        (
            server.post("/api/visitors", JSON, &huge),
            413,
            "length limit",
        ),
        (
            server.post("/api/newcomers", FORM, &picture),
            422,
            "picture",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("year", b"soon")])),
            422,
            "soon",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("genre", b"Cooking")])),
            422,
            "Cooking",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("colour", b"red")])),
            422,
            "colour",
        ),
        (server.post("/api/newcomers", JSON, b"{}"), 400, "boundary"),
        (
            server.get(&format!("/api/movies?title={}", "a+".repeat(150))),
            422,
            "200 characters",
        ),
        (
            server.post(
                "/api/newcomers",
                FORM,
                &form(&[("year", &vec![b'9'; 1 << 20])]),
            ),
            422,
            "year has 200 characters",
        ),
        (
            server.post(
                "/api/newcomers",
                FORM,
                &form(&[("plot", &vec![b'x'; 20_001])]),
            ),
            422,
            "plot has 20000 characters",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("plot", b"\xff\xfe")])),
            422,
            "UTF-8",
        ),
        (
            server.post("/api/newcomers", FORM, b"--x\r\nno form"),
            400,
            "multipart",
        ),
        (
            server.post("/api/visitors", JSON, "[".repeat(100_000).as_bytes()),
            422,
            "invalid type",
        ),
        (
            server.post("/api/newcomers", FORM, &vec![b'x'; 12 << 20]),
            413,
            "",
        ),
    ];
    for ((status, body), expected, part) in cases {
        assert_eq!(status, expected, "{part}: {body}");
        assert!(body.contains(part), "{part}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
        assert!(body["error"].is_string(), "{body}");
    }
    let garbage = server.ask(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert_eq!(garbage.status, 400);
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn the_description_names_the_answers_to_those_who_are_turned_away() {
    let server = start();
    let description = server.json("/openapi.json");
    for (path, method) in [
        ("/api/movies", "get"),
        ("/api/visitors", "post"),
        ("/api/newcomers", "post"),
        ("/posters/{movie}", "get"),
    ] {
        let responses = &description["paths"][path][method]["responses"];
        for status in ["4XX", "500", "503"] {
            assert!(responses[status].is_object(), "{path}: {responses}");
        }
        assert!(responses["503"]["headers"]["retry-after"].is_object());
    }
}

#[test]
fn a_genre_that_is_named_again_and_again_costs_what_it_costs_once() {
    let server = start();
    let genre = server.json("/api/info")["genres"][0].clone();
    let genres = vec![genre.as_str().unwrap(); 15_000].join(",");
    let visitor = json!({"ratings": [], "wish": {"genres": genres}}).to_string();
    let begun = std::time::Instant::now();
    let answer = server.ask(&posted("/api/visitors", JSON, visitor.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}
