//! `report.html` and the page of `mmdlrm serve` in a real browser: Chromium, where
//! there is one (`CHROMIUM` or in the path).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod driver;
mod page;
mod shop;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Widths of a screen and of a telephone, in pixels. Headless Chromium has no window
/// narrower than 500.
const WIDTHS: [u32; 2] = [1400, 500];

/// Where a browser is.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    support::Need::Chromium.or_skip(named.or(found))
}

/// What a page became, and what its console said.
struct Opened {
    dom: String,
    console: String,
}

/// Opens a page without a network but this machine.
fn open(browser: &Path, address: &str, width: u32, dark: bool) -> Opened {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--window-size={width},1000"))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
        .args(["--virtual-time-budget=10000", "--dump-dom", address])
        .output()
        .unwrap();
    let said = support::text(&output.stderr);
    let mut console = String::new();
    for line in said.lines().filter(|line| line.contains("CONSOLE")) {
        writeln!(console, "{line}").unwrap();
    }
    Opened {
        dom: support::text(&output.stdout),
        console,
    }
}

/// A run on the made-up sample, made once.
fn run() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--epochs", "2", "--validation", "0.1"];
        let output = support::run(folder.path(), "train", &arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        folder
    });
    folder.path()
}

/// Ends a page with a script that says how wide it is, and what colour.
const PROBE: &str = "<script>
    const page = document.documentElement;
    const ground = getComputedStyle(document.body).backgroundColor;
    document.title = `wide ${page.scrollWidth - page.clientWidth} ground ${ground}`;
</script>";

#[test]
fn the_report_opens_without_an_error_and_fits_wide_and_narrow_light_and_dark() {
    let Some(browser) = browser() else { return };
    let report = std::fs::read_to_string(run().join("runs/sample/report.html")).unwrap();
    for outside in ["http://", "https://", "src=\"/", "@import", "url("] {
        // Names of XML are no addresses to fetch.
        let found = report.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    let probed = run().join("probed.html");
    std::fs::write(&probed, format!("{report}{PROBE}")).unwrap();
    let address = format!("file://{}", probed.display());
    for width in WIDTHS {
        for (dark, ground) in [(false, "rgb(246, 245, 242)"), (true, "rgb(23, 23, 26)")] {
            let page = open(&browser, &address, width, dark);
            assert_eq!(page.console, "");
            let wanted = format!("<title>wide 0 ground {ground}</title>");
            assert!(
                page.dom.contains(&wanted),
                "{width}: {}",
                &page.dom[..page.dom.len().min(300)]
            );
            for part in [
                "RMSE, stars",
                "nDCG@10",
                "Loss",
                "Predicted against given",
                "validation",
                "Error by the training ratings of the movie",
                "Error by the training ratings of the user",
                "nDCG@10 by the training ratings of the user",
                "Missing modalities",
                "liked best",
                "What each stage took",
                "What went in",
                "processor",
                "All settings",
            ] {
                assert!(page.dom.contains(part), "{part}");
            }
            assert_eq!(page.dom.matches("liked best").count(), 10);
            assert!(page.dom.matches("data:image/jpeg;base64,").count() > 50);
        }
    }
}

#[test]
fn an_error_on_the_console_would_be_seen() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.html");
    std::fs::write(
        &path,
        "<script>nowhere()</script><img src='http://example.com/x'>",
    )
    .unwrap();
    let page = open(&browser, &format!("file://{}", path.display()), 800, false);
    assert!(
        page.console.contains("nowhere is not defined"),
        "{}",
        page.console
    );
}
