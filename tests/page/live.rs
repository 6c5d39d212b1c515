//! The page while a run goes on.

use super::browser::{Browser, ENTER, ESCAPE, HOME, LEFT, PHONE, RIGHT, WIDE};
use super::traffic::Served;

/// A page that shows a run of some seconds.
fn opened(seconds: i64) -> Option<(Browser, Served)> {
    let browser = Browser::start(WIDE)?;
    let mut served = Served::start(0);
    for second in 0..seconds {
        served.second(second);
    }
    browser.open(&served.url);
    // the last second is open yet
    let packets = ((seconds - 1) * 3).to_string();
    browser.until_text("#t-packets", &packets);
    browser.until("return document.querySelector('#throughput svg') !== null");
    Some((browser, served))
}

#[test]
fn numbers_move_and_rows_are_sorted_filtered_and_opened() {
    let Some((browser, mut served)) = opened(3) else { return };
    assert_eq!(browser.text("#state-text"), "reading");
    assert_eq!(browser.texts("#services tbody a"), ["https", "ssh", "http"]);
    served.second(3);
    browser.until_text("#t-packets", "9");
    browser.picture("live");

    browser.click("#services [data-sort=name]");
    assert_eq!(browser.texts("#services tbody a"), ["http", "https", "ssh"]);
    browser.click("#services [data-sort=name]");
    assert_eq!(browser.texts("#services tbody a"), ["ssh", "https", "http"]);
    assert_eq!(browser.run("return document.querySelector('.c-name').ariaSort"), "descending");
    served.second(4);
    browser.until_text("#t-packets", "12");
    assert_eq!(browser.texts("#services tbody a"), ["ssh", "https", "http"], "it stays so");

    browser.click("[data-unit=packets]");
    browser.until("return throughput.data.unit === 'packets'");
    assert_eq!(browser.texts("#services td.c-rate"), ["1 p/s"; 3]);

    // by keys alone: the slash leads to the filter, and Tab through the list
    browser.keys("/http");
    assert_eq!(browser.texts("#services tbody a"), ["https", "http"]);
    browser.keys("x");
    assert_eq!(browser.text("#empty"), "No service matches the filter.");
    browser.picture("live-no-match");
    browser.keys(ESCAPE);
    assert_eq!(browser.texts("#services tbody a").len(), 3);
    browser.run("document.querySelector('#services tbody a').focus()");
    served.second(5);
    browser.until_text("#t-packets", "15");
    assert_eq!(browser.run("return document.activeElement.textContent"), "ssh", "the focus stays");
    browser.keys(ENTER);
    browser.until_text("#one-title", "ssh");
    assert_eq!(browser.run("return location.hash"), "#/tcp/ssh");
    assert_eq!(browser.texts("#one-ports tbody td:first-child"), ["22"]);
    browser.until("return document.querySelector('[data-measure=packet_size_bytes] svg') !== null");
    browser.picture("live-one");
    browser.run("history.back()");
    browser.until("return !document.querySelector('#overview').hidden");

    // paused, it stays as it is, and then shows what came meanwhile
    browser.click("#pause");
    browser.until_text("#state-text", "paused");
    served.second(6);
    browser.until("return view.latest.packets === 18");
    assert_eq!(browser.text("#t-packets"), "15");
    let columns = browser.run("return throughput.data.series[0].rates.length");
    browser.click("#services [data-sort=bytes]");
    assert_eq!(browser.run("return painter.underway"), serde_json::Value::Null, "no other chart is asked for");
    assert_eq!(browser.run("return throughput.data.series[0].rates.length"), columns);
    browser.picture("live-paused");
    browser.click("#pause");
    browser.until_text("#t-packets", "18");

    // a link to a service leads there
    browser.open(&format!("{}#/tcp/https", served.url));
    browser.until_text("#one-title", "https");

    assert_eq!(browser.complaints(), [""; 0]);
    let foreign: Vec<_> = browser.requests().into_iter().filter(|url| !url.starts_with(&served.url)).collect();
    assert_eq!(foreign, [""; 0]);
}

#[test]
fn charts_tell_their_values_to_mouse_touch_and_keys() {
    let Some((browser, mut served)) = opened(20) else { return };
    let plot = "#throughput .plot";
    let (x, y) = browser.middle(plot);
    browser.point(x, y);
    let tip = "#throughput .tip";
    browser.until("return !document.querySelector('#throughput .tip').hidden");
    let pointed = browser.text(&format!("{tip} b"));
    assert!(pointed.starts_with("10:00:"), "{pointed}");
    assert_eq!(browser.texts(&format!("{tip} u"))[0], "all");
    browser.picture("live-pointed");
    browser.point(1.0, 1.0);
    browser.until("return document.querySelector('#throughput .tip').hidden");

    // 400 bytes a second of ssh
    browser.run("document.querySelector('#throughput .plot').focus()");
    browser.keys(HOME);
    assert_eq!(browser.text(&format!("{tip} b")), "10:00:00 – 10:00:01");
    browser.keys(RIGHT);
    let said = browser.text("#throughput [role=status]");
    assert!(said.starts_with("10:00:01 – 10:00:02, all ") && said.contains("ssh tcp 3.2 kb/s"), "{said}");
    browser.keys(LEFT);
    assert_eq!(browser.text(&format!("{tip} b")), "10:00:00 – 10:00:01");
    served.second(20);
    browser.until("return throughput.data.series[0].rates.length === 20");
    assert_eq!(browser.run("return document.activeElement.className"), "plot", "the focus stays with the chart");
    browser.keys(ESCAPE);
    browser.until("return document.querySelector('#throughput .tip').hidden");

    browser.click("#throughput-values summary");
    browser.until("return document.querySelectorAll('#throughput-values tbody tr').length === 20");
    let heads = browser.texts("#throughput-values thead th");
    assert!(heads[0] == "Time, UTC" && heads.contains(&"ssh tcp".to_owned()), "{heads:?}");

    browser.look_on(PHONE);
    browser.run("location.hash = '#/tcp/ssh'");
    browser.until("return document.querySelector('[data-measure=packet_size_bytes] svg') !== null");
    let (x, y) = browser.middle("[data-measure=packet_size_bytes] .plot");
    browser.touch(x, y);
    browser.until("return !document.querySelector('[data-measure=packet_size_bytes] .tip').hidden");
    browser.picture("live-one-phone-touched");
    assert_eq!(browser.text("[data-measure=packet_size_bytes] .tip b"), "384 B – 447 B");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn nothing_jumps_while_numbers_change() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let mut served = Served::start(0);
    browser.open(&served.url);
    browser.until("return source.readyState === EventSource.OPEN");
    browser.run(
        "window.first = 0; new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) first += entry.value;
         }).observe({ type: 'layout-shift', buffered: true })",
    );
    (0..3).for_each(|second| served.second(second));
    browser.until_text("#t-packets", "6");
    browser.until("return document.querySelector('#throughput svg') !== null");
    browser.run_async("requestAnimationFrame(() => setTimeout(arguments[0]))");
    // what browsers call good is 0.1; rows that come one by one, on a busy machine, push what is below them
    let first = browser.run("return first").as_f64().expect("a number");
    assert!(first < 0.1, "{first} when the first numbers come");
    browser.run(
        "window.shifts = []; new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) shifts.push([entry.value, ...entry.sources.map(({ node }) => node?.outerHTML ?? node?.textContent)]);
         }).observe({ type: 'layout-shift' })",
    );
    for second in 3..12 {
        served.second(second);
        browser.until_text("#t-packets", &(second * 3).to_string());
    }
    assert_eq!(browser.run("return shifts"), serde_json::json!([]));
}

#[test]
fn after_a_restart_it_begins_anew_by_itself() {
    let Some((browser, served)) = opened(5) else { return };
    let port = served.port();
    served.kill();
    browser.until_text("#state-text", "reconnecting");
    assert_eq!(browser.text("#t-packets"), "12", "what was known stays");
    browser.picture("live-reconnecting");
    let mut served = Served::start(port);
    served.second(100);
    served.second(101);
    browser.until_text("#t-packets", "3");
    browser.until_text("#state-text", "reading");
    // only that the server was away
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|message| message.contains("ERR_")), "{complaints:?}");
    let _program = served.end();
    browser.until_text("#state-text", "ended");
    browser.picture("live-ended");
}
