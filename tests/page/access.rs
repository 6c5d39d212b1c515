//! Who cannot see well, or has no mouse: axe-core's rules, on every view and screen.

use std::fs;
use std::path::Path;

use super::browser::{Browser, PHONE, Screen, WIDE};
use super::traffic::{report, some_services};

/// Where `tests/setup/test-tools.sh` puts it.
fn axe() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; tests/setup/test-tools.sh", path.display()))
}

#[test]
fn no_view_has_a_serious_fault() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, _) = report(folder.path(), &some_services(), &[]);
    browser.open_file(&path);
    browser.run(&axe());
    // of no consequence: best practices, and what is minor
    let script = "const done = arguments[0];
        axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => done(violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)))";
    for (name, screen) in [("wide", WIDE), ("wide-dark", WIDE.dark()), ("phone", PHONE), ("phone-dark", PHONE.dark())] {
        browser.look_on(screen);
        for (view, hash) in [("list", "#/"), ("one", "#/tcp/https")] {
            browser.run(&format!("location.hash = '{hash}'; document.querySelector('#legend').open = true"));
            browser.until(&format!("return document.querySelector('#one').hidden === ({view:?} === 'list')"));
            let dark = if screen.dark { "dark" } else { "light" };
            browser.until(&format!("return document.documentElement.dataset.theme === '{dark}'"));
            let faults = browser.run_async(script);
            assert_eq!(faults, serde_json::json!([]), "{name}, {view}");
            let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
            assert!(too_wide.as_f64().is_some_and(|px| px <= 0.0), "{name}, {view}: {too_wide} pixels too wide");
            browser.picture(&format!("report-{name}-{view}"));
        }
    }
    // names are whole from the narrowest telephones on
    browser.run("location.hash = '#/'");
    for width in [360, 480, 559, 600, 800, 880, 900, 1000, 1119, 1200, 1359, 1400, 1920, 2560] {
        browser.look_on(Screen { width, ..WIDE });
        let cut = "return [...document.querySelectorAll('#services tbody a, #services th.c-name button')]
            .filter((e) => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().width < 20).map((e) => e.textContent)";
        assert_eq!(browser.run(cut), serde_json::json!([]), "{width}");
        let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(too_wide.as_f64().is_some_and(|px| px <= 0.0), "{width}: {too_wide} pixels too wide");
    }
}
