//! What users ask of charts while the server is slow, busy or gone.

use super::browser::{Browser, WIDE};
use super::traffic::Served;

/// Pictures that are asked for from here on wait until `release` is called.
const HOLD: &str = "window.held = []; window.really ??= window.fetch;
    window.fetch = (url, options) => new Promise((give, fail) => {
        options.signal.addEventListener('abort', () => fail(new Error('let go')));
        held.push(() => really(url, options).then(give, fail));
    });
    window.release = () => { window.fetch = really; held.forEach((go) => go()); }";

const SIZES: &str = "[data-measure=packet_size_bytes]";

fn opened(seconds: i64) -> Option<(Browser, Served)> {
    let browser = Browser::start(WIDE)?;
    let mut served = Served::start(0);
    (0..seconds).for_each(|second| served.second(second));
    browser.open(&served.url);
    browser.until_text("#t-packets", &((seconds - 1) * 3).to_string());
    browser.until("return throughput.data !== null");
    Some((browser, served))
}

/// The first cell of the values of packet sizes.
fn first_size(browser: &Browser) -> String {
    browser.text(&format!("{SIZES} .values td"))
}

#[test]
fn the_last_wish_wins_and_values_are_those_of_the_chart() {
    let Some((browser, _served)) = opened(3) else { return };
    browser.click("#throughput-values summary");
    browser.until("return document.querySelector('#throughput-values td:last-child')?.textContent.endsWith('b/s')");

    browser.run(HOLD);
    for unit in ["bytes", "packets"] {
        browser.click(&format!("[data-unit={unit}]"));
    }
    assert_eq!(browser.text("#throughput .told"), "Still Bits/s, 10 minutes", "nobody takes it for packets");
    browser.run("release()");
    browser.until("return throughput.data.unit === 'packets'");
    browser.until_text("#throughput .told", "");
    assert!(browser.text("#throughput-values td:last-child").ends_with("p/s"));

    browser.run("location.hash = '#/tcp/https'");
    browser.until(&format!("return document.querySelector('{SIZES} svg') !== null"));
    browser.click(&format!("{SIZES} summary"));
    browser.until(&format!("return document.querySelector('{SIZES} td') !== null"));
    assert_eq!(first_size(&browser), "896 B");
    // by way of a third, whose picture comes too late
    browser.run(HOLD);
    browser.run("location.hash = '#/tcp/http'");
    browser.until_text("#one-title", "http");
    browser.run("location.hash = '#/tcp/ssh'");
    browser.until_text("#one-title", "ssh");
    assert_eq!(browser.text(&format!("{SIZES} .waiting")), "Drawing …", "not the chart of https");
    assert_eq!(first_size(&browser), "");
    browser.run("release()");
    browser.until(&format!("return document.querySelector('{SIZES} td')?.textContent === '384 B'"));
    // there and back before anything has come
    browser.run(HOLD);
    for (hash, title) in [("http", "http"), ("https", "https"), ("http", "http")] {
        browser.run(&format!("location.hash = '#/tcp/{hash}'"));
        browser.until_text("#one-title", title);
    }
    browser.run("release()");
    browser.until(&format!("return document.querySelector('{SIZES} td')?.textContent === '192 B'"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn without_the_server_what_was_drawn_stays() {
    let Some((browser, served)) = opened(4) else { return };
    let port = served.port();
    served.kill();
    browser.until_text("#state-text", "reconnecting");
    browser.click("[data-unit=bytes]");
    let away = "The server cannot be reached; the chart comes when it is back.";
    browser.until_text("#throughput .told", &format!("Still Bits/s, 10 minutes. {away}"));
    assert_eq!(browser.run("return throughput.data.unit"), "bits");
    browser.until("return getComputedStyle(document.querySelector('#throughput .told')).opacity === '1'");
    browser.picture("gone-other-unit");
    browser.run("location.hash = '#/tcp/https'");
    let away = "The server cannot be reached; the histogram comes when it is back.";
    browser.until_text(&format!("{SIZES} .waiting"), away);
    browser.picture("gone-one");

    let mut served = Served::start(port);
    (100..103).for_each(|second| served.second(second));
    browser.until(&format!("return document.querySelector('{SIZES} svg') !== null"));
    browser.run("location.hash = '#/'");
    browser.until("return throughput.data?.unit === 'bytes'");
    browser.until_text("#throughput .told", "");

    // a run that is over, and then its server too
    let program = served.end();
    browser.until_text("#state-text", "ended");
    browser.until("return throughput.data?.series[0].rates.length === 3 && !painter.underway");
    assert!(browser.run("return getComputedStyle(document.querySelector('#pause')).visibility") == "hidden");
    drop(program);
    browser.run("location.hash = '#/tcp/ssh'");
    browser.until_text(&format!("{SIZES} .waiting"), away);
    browser.run("location.hash = '#/'");
    browser.until("return !document.querySelector('#overview').hidden");
    browser.click("[data-unit=bits]");
    browser.until("return !painter.underway");
    browser.click("#services [data-sort=name]");
    browser.until("return !painter.underway");
    assert_eq!(browser.run("return throughput.data.unit"), "bytes");
    assert!(browser.text("#throughput .told").starts_with("Still Bytes/s, 10 minutes. The server cannot be reached"));
}
