//! Inputs that are what a client sends to the page.

use super::write_seeds;

/// What clients of the server that asks for one have to know.
pub const TOKEN: &str = "a-token-of-some-length";
/// The same as the password of the user `portlabel` (RFC 7617).
const BASIC: &str = "cG9ydGxhYmVsOmEtdG9rZW4tb2Ytc29tZS1sZW5ndGg=";

/// Writes the inputs to begin with: requests for everything that there is, behind a byte that is even for the server without
/// a token and odd for the one with it.
///
/// # Panics
/// They cannot be written.
pub fn seeds() {
    let targets = [
        "/",
        "/metrics",
        "/api/v1/snapshot",
        "/api/v1/stream",
        "/nothing",
        "/charts/throughput.svg?span=whole&unit=packets",
        "/charts/packet_size_bytes.svg?service=https&transport=tcp&width=640&scale=log",
        "http://localhost/metrics",
        "*",
    ];
    let host = "Host: 127.0.0.1:9465\r\n";
    let mut seeds = Vec::new();
    for target in targets {
        for (kind, method, headers) in [
            ("0", "GET", host.to_owned()),
            (
                "0",
                "HEAD",
                format!("{host}Accept: application/openmetrics-text; version=1.0.0\r\nConnection: close\r\n"),
            ),
            ("0", "POST", format!("{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
            ("0", "GET", "Host: rebound.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n".to_owned()),
            ("1", "GET", format!("{host}Authorization: Bearer {TOKEN}\r\n")),
            ("1", "GET", format!("Host: [::1]\r\nAuthorization: Basic {BASIC}\r\n")),
            ("1", "GET", host.to_owned()),
        ] {
            seeds.push(format!("{kind}{method} {target} HTTP/1.1\r\n{headers}\r\n").into_bytes());
        }
    }
    // several on one connection, one that is not finished, another version, and no HTTP at all
    seeds.push(format!("0GET / HTTP/1.1\r\n{host}\r\nGET /metrics HTTP/1.1\r\n{host}\r\n").into_bytes());
    seeds.push(format!("0GET /metrics HTTP/1.1\r\n{host}").into_bytes());
    seeds.push(b"0GET / HTTP/1.0\r\n\r\n".to_vec());
    seeds.push(b"0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec());
    seeds.push(b"0\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    write_seeds(|| seeds);
}
