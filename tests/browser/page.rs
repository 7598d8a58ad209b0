//! The page of `mmdlrm serve`, as people use it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::driver::{DOWN, Driver, ENTER, ESCAPE, LEFT, RIGHT, TAB};
use super::support::server::Server;
use super::{browser, support};

/// A run that recommends, on the made-up sample, made once.
fn run() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--preset", "rank", "--epochs", "2", "--out", "runs/sample"];
        let output = support::run(folder.path(), "train", &arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        folder
    });
    folder.path()
}

/// A server, and a browser on a wide screen.
pub struct Opened {
    server: Server,
    driver: Driver,
}

impl Opened {
    fn new() -> Option<Self> {
        Self::on(|| Server::start(run()))
    }

    /// On another server, where there is a browser.
    pub fn on(server: impl FnOnce() -> Server) -> Option<Self> {
        let browser = browser()?;
        let mut driver = Driver::start(&browser);
        driver.resize(1400, 900);
        let server = server();
        Some(Self { server, driver })
    }

    /// Opens an address, and waits for what it shows.
    pub fn open(&mut self, path: &str) -> &mut Driver {
        let address = format!("http://{}{path}", self.server.address);
        self.driver.open(&address);
        self.driver.wait_for(SETTLED);
        &mut self.driver
    }
}

/// There are shelves, or a notice in their place, or a view without them.
const SETTLED: &str = "document.querySelector('#size').textContent.includes('model') && \
                       document.querySelector('.films:not([hidden]) [aria-busy=true]') === null";
const TITLES: &str = "[...document.querySelectorAll('#shelves h3')].map((it) => it.textContent)";
const FILMS: &str =
    "[...document.querySelectorAll('#shelves .card')].map((it) => Number(it.dataset.film))";
const WHERE: &str = "location.search";
/// By how many pixels the page is wider than its window.
const TOO_WIDE: &str =
    "document.documentElement.scrollWidth - document.documentElement.clientWidth";

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().unwrap().iter();
    values.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_opens_on_somebody_with_shelves_of_different_films() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/");
    let user = page.value("fetch('api/info').then((it) => it.json()).then((it) => it.opens_on)");
    let name = page.text("document.querySelector('#user-name').textContent");
    assert_eq!(name, format!("User {user}"));
    page.wait_for("document.querySelectorAll('#rated [data-film]').length > 3");
    let titles = texts(&page.value(TITLES));
    assert_eq!(titles[0], "For you");
    assert!(titles.len() > 1, "{titles:?}");
    let others = titles[1..].iter();
    assert!(
        others
            .clone()
            .all(|it| it.starts_with("Because you watched ")),
        "{titles:?}"
    );
    let films = page.value(FILMS);
    let films = films.as_array().unwrap();
    let different: HashSet<_> = films.iter().map(Value::as_u64).collect();
    assert!(
        films.len() > 10 && films.len() == different.len(),
        "{films:?}"
    );
    assert!(
        page.text("document.querySelector('#shelves .card').innerText")
            .contains('★')
    );
    assert!(page.console.is_empty(), "{:?}", page.console);
}

#[test]
fn a_film_is_found_chosen_and_rated_by_the_keyboard_alone() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/");
    // Past the link that skips, to the tabs.
    page.press(TAB);
    page.press(TAB);
    page.press(RIGHT);
    page.wait_for("document.querySelector('#shelves h3')?.textContent === 'Most watched'");
    let found = page.value("fetch('api/movies?title=the').then((it) => it.json())");
    let id = &found[1]["id"];
    page.press(TAB);
    page.write("the");
    page.wait_for("document.querySelector('#title').ariaExpanded === 'true'");
    page.press(DOWN);
    page.press(ENTER);
    page.wait_for(&format!("location.search === '?tab=visitor&films={id}:5'"));
    page.wait_for("document.querySelector('#shelves h3')?.textContent === 'For you'");
    assert!(!page.value(FILMS).as_array().unwrap().contains(id));
    page.press(TAB);
    page.press(LEFT);
    page.wait_for(&format!(
        "location.search === '?tab=visitor&films={id}:4.5'"
    ));
    page.value("history.back()");
    page.wait_for(&format!("location.search === '?tab=visitor&films={id}:5'"));
    page.wait_for("document.querySelector('#chosen input').value === '5'");
    assert!(page.console.is_empty(), "{:?}", page.console);
}

#[test]
fn the_address_gives_back_what_was_seen() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/");
    let films = page.value(FILMS);
    let (known, open) = (&films[0], &films[1]);
    let path = format!("/?tab=visitor&films={known}:3.5&genres=Comedy&variety=0.5&film={open}");
    let page = opened.open(&path);
    page.wait_for("document.querySelector('#details-title')?.textContent.length > 1");
    for (what, expected) in [
        ("[role=tab][aria-selected=true]').id", "tab-visitor"),
        ("#chosen input').value", "3.5"),
        ("#filters [name=genres]:checked').value", "Comedy"),
        ("#filters [name=variety]').value", "0.5"),
    ] {
        assert_eq!(
            page.text(&format!("document.querySelector('{what}")),
            expected
        );
    }
    assert!(page.value("document.querySelector('#details').open") == true);
    page.press(ESCAPE);
    let closed = path[1..].rsplit_once("&film").unwrap().0.to_owned();
    page.wait_for(&format!("location.search === '{closed}'"));
    assert!(page.value("document.querySelector('#details').open") == false);
    page.value("history.back()");
    page.wait_for("document.querySelector('#details').open");
    assert!(page.console.is_empty(), "{:?}", page.console);
}

#[test]
fn details_open_by_enter_and_give_the_focus_back() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/");
    let before = page.text(WHERE);
    page.value("document.querySelector('#shelves .card').focus()");
    let film = page.text("document.activeElement.dataset.film");
    page.press(ENTER);
    page.wait_for("document.querySelectorAll('#details [data-film]').length > 3");
    assert!(page.text(WHERE).ends_with(&format!("film={film}")));
    page.press(ESCAPE);
    page.wait_for("!document.querySelector('#details').open");
    page.wait_for(&format!("location.search === '{before}'"));
    assert_eq!(page.text("document.activeElement.dataset.film"), film);
    assert!(page.console.is_empty(), "{:?}", page.console);
}

#[test]
fn filters_change_what_is_shown_and_are_taken_back_where_nothing_fits() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/");
    let all = page.value(FILMS);
    page.value("document.querySelector('#filters [value=Comedy]').click()");
    page.wait_for(&format!(
        "location.search === '?genres=Comedy' && {SETTLED}"
    ));
    let comedies = page.value(FILMS);
    assert!(comedies != all && !comedies.as_array().unwrap().is_empty());
    let genres = format!(
        "Promise.all({FILMS}.map((id) => fetch(`api/movies/${{id}}`).then((it) => it.json())))\
         .then((films) => films.every((it) => it.genres.includes('Comedy')))"
    );
    assert!(page.value(&genres) == true);
    page.value("document.querySelector('#filters [name=from]').focus()");
    page.write("2999");
    page.wait_for(&format!(
        "location.search.endsWith('from=2999') && {SETTLED}"
    ));
    let notice = "document.querySelector('#shelves .notice')";
    assert!(
        page.text(&format!("{notice}.innerText"))
            .contains("No film fits.")
    );
    page.value(&format!("{notice}.querySelector('button').click()"));
    page.wait_for(&format!("location.search === '' && {SETTLED}"));
    assert_eq!(page.value(FILMS), all);
    assert!(page.console.is_empty(), "{:?}", page.console);
}

#[test]
fn no_view_is_wider_than_a_telephone() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    opened.driver.resize(360, 740);
    let page = opened.open("/");
    let films = page.value(FILMS);
    let known = format!("/?tab=visitor&films={}:5,{}:2", films[0], films[1]);
    let details = format!("/?film={}", films[2]);
    for path in [
        "/",
        "/?tab=visitor",
        &known,
        "/?tab=newcomer",
        &details,
        "/?user=0",
    ] {
        let page = opened.open(path);
        page.value("document.querySelector('#open-filters').click()");
        assert_eq!(page.value(TOO_WIDE), 0, "{path}");
    }
}

#[test]
fn a_user_who_is_not_there_and_a_server_that_went_away_are_said_in_words() {
    let Some(mut opened) = Opened::new() else {
        return;
    };
    let page = opened.open("/?user=0");
    let notice = "document.querySelector('#shelves .notice').innerText";
    assert!(page.text(notice).contains("There is no such user."));
    opened.open("/");
    opened.server.process.kill().unwrap();
    opened.server.process.wait().unwrap();
    let page = &mut opened.driver;
    page.value("document.querySelector('#filters [name=less_popular]').click()");
    page.wait_for("document.querySelector('#shelves .notice') !== null");
    assert!(page.text(notice).contains("The server does not answer."));
}
