//! `-o html`: a page that opens anywhere, makes no request, and has the numbers of `-o json`.

use std::fs;

use portlabel::units::Transport;
use serde_json::Value;

use super::browser::{Browser, WIDE};
use super::traffic::{packet, records, report, some_services};
use crate::records::pcap_header;

#[test]
fn a_report_asks_for_nothing_and_has_the_numbers_of_json() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, json) = report(folder.path(), &some_services(), &[]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    browser.until("return document.querySelector('#throughput svg') !== null");

    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    assert_eq!(digits(&browser.text("#t-packets")), json["packets"].to_string());
    assert_eq!(digits(&browser.text("#t-flows")), json["flows"]["started"].to_string());
    let services = json["services"].as_array().expect("rows");
    let names: Vec<_> = services.iter().map(|row| row["service"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(browser.texts("#services tbody a"), names, "the order is that of JSON");
    let packets: Vec<_> = services.iter().map(|row| row["packets"].to_string()).collect();
    assert_eq!(browser.texts("#services td.c-packets").iter().map(|text| digits(text)).collect::<Vec<_>>(), packets);
    assert_eq!(json["interval"], Value::Null, "nobody asked for intervals");

    // all that is drawn is all that was counted
    let drawn = browser.run(
        "const { series, step_ms } = throughput.data;
         return series.flatMap((one) => one.rates).reduce((sum, rate) => sum + rate, 0) * step_ms / 8000",
    );
    let (drawn, counted) = (drawn.as_f64().expect("a number"), json["wire_bytes"].as_f64().expect("a number"));
    assert!((drawn - counted).abs() < counted * 0.01, "{drawn} bytes are drawn of {counted}");

    for name in &names {
        browser.run(&format!("location.hash = '#/tcp/{name}'"));
        browser
            .until(&format!("return ['{name}', 'domain'].includes(document.querySelector('#one-title').textContent)"));
    }
    assert_eq!(browser.requests(), [format!("file://{}", path.display())]);
    assert_eq!(browser.complaints(), [""; 0]);
    browser.run("location.hash = '#/'");
    browser.until("return !document.querySelector('#overview').hidden");
    browser.protocol("Emulation.setEmulatedMedia", &serde_json::json!({ "media": "print" }));
    browser.picture("report-print");
}

#[test]
fn hostile_names_are_text() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let names = [
        "</script><img/src=x/onerror=alert(1)>",
        "<!--<script>",
        "\"><svg/onload=alert(1)>",
        "javascript:alert(1)",
        "&lt;b&gt;",
        "__proto__",
        "%E0%A4%A",
        "../../etc/passwd",
    ];
    let own = folder.path().join("own.txt");
    let lines: Vec<_> = names.iter().enumerate().map(|(at, name)| format!("{name} {}/tcp\n", 9000 + at)).collect();
    fs::write(&own, lines.concat()).expect("a file");
    let mut capture = pcap_header();
    let packets = (0..names.len()).map(|at| {
        let (at, port) = (i64::try_from(at).expect("few"), u16::try_from(9000 + at).expect("a port"));
        packet(at * 100, Transport::Tcp, port, 1000 - u32::from(port - 9000))
    });
    capture.extend(records(packets));
    let (path, _) = report(folder.path(), &capture, &["--services", own.to_str().expect("ASCII")]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    assert_eq!(browser.texts("#services tbody a"), names);
    for name in names {
        browser.run(&format!(
            "[...document.querySelectorAll('#services tbody a')].find((a) => a.textContent === {}).click()",
            Value::from(name)
        ));
        browser.until_text("#one-title", name);
        browser.until("return document.querySelector('[data-measure=packet_size_bytes] svg') !== null");
        browser.run("history.back()");
        browser.until("return !document.querySelector('#overview').hidden");
    }
    let foreign = "return document.querySelectorAll('img, svg script, svg foreignObject, [onerror], [onload]').length";
    assert_eq!(browser.run(foreign), 0);
    assert_eq!(browser.run("return document.scripts.length"), 2);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn thousands_of_services_are_shown_when_asked_for() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("own.txt");
    let ports = 10_000..14_000_u16;
    let lines: Vec<_> = ports.clone().map(|port| format!("service-{port} {port}/tcp\n")).collect();
    fs::write(&own, lines.concat()).expect("a file");
    let mut capture = pcap_header();
    capture.extend(records(ports.map(|port| packet(i64::from(port), Transport::Tcp, port, u32::from(port) / 10))));
    let (path, json) = report(folder.path(), &capture, &["--services", own.to_str().expect("ASCII")]);
    assert_eq!(json["services"].as_array().map(Vec::len), Some(4000));
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    assert_eq!(browser.run("return document.querySelectorAll('#services tbody tr').length"), 200);
    browser.click("#more button");
    browser.until("return document.querySelectorAll('#services tbody tr').length === 4000");
    // those beyond the charts have their numbers
    browser.run("location.hash = '#/tcp/service-10000'");
    browser.until_text("#one-title", "service-10000");
    browser.until("return document.querySelector('.measure .numbers dd').textContent === '1,000 B'");
}

#[test]
fn a_report_of_nothing_says_so_and_losses_are_in_view() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, _) = report(folder.path(), &pcap_header(), &[]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    assert_eq!(browser.text("#empty"), "No packets with ports.");
    assert_eq!(browser.text("#v-drops"), "unknown");
    browser.picture("report-empty");

    // a capture has no losses: those of an interface are put in by hand
    let page = fs::read_to_string(&path).expect("a page");
    let lossy =
        page.replace(r#""drops":{"kernel":null,"interface":null}"#, r#""drops":{"kernel":12000,"interface":3}"#);
    let strange = page.replace("portlabel.snapshot/1\",\"version", "portlabel.snapshot/9\",\"version");
    for (name, page) in [("lossy.html", lossy), ("strange.html", strange)] {
        fs::write(folder.path().join(name), page).expect("a file");
    }
    browser.open_file(&folder.path().join("lossy.html"));
    browser.until_text("#v-drops", "12,003 lost");
    assert_eq!(browser.text("#v-drops-what"), "kernel 12,000 · interface 3");
    browser.picture("report-drops");
    browser.open_file(&folder.path().join("strange.html"));
    browser.until("return document.querySelector('#notice').textContent.includes('portlabel.snapshot/9')");
    assert_eq!(browser.complaints(), [""; 0]);
}
