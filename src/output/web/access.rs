//! Who is let in, and what for: the checks that every request has to pass before anything is done for it.
//!
//! Without a token the only wall between a web page of somebody else and this server is the browser. A page may make the
//! browser connect here, under a name of its own that it lets point to this host (DNS rebinding): so a request is answered
//! only under names that are known to be this server's. What the browser says of where a request comes from (Fetch
//! Metadata) is believed when it speaks against the request.

use std::net::IpAddr;

use axum::http::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::token::Token;

/// Where a request was made (Fetch Metadata, a W3C draft that every current browser follows).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What it is made for.
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// What the answer becomes.
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Who is let in.
#[derive(Debug)]
pub(super) struct Access {
    /// Clients must know it; `None` lets everybody in who can connect.
    pub(super) token: Option<Token>,
    /// Names of this server, beside `localhost` and the addresses that clients connect to.
    pub(super) hosts: Vec<String>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is none to read something.
    Method,
    /// It has a body.
    Body,
    /// It does not say, once and clearly, which server it is for.
    NoHost,
    /// It is for another server.
    OtherHost,
    /// Another web page makes it.
    OtherSite,
    /// It has no token, or a wrong one.
    NoToken,
}

impl Access {
    /// Why a request that came to the address `local` is not answered; `None` when it is.
    pub(super) fn refusal(&self, request: &Parts, local: IpAddr) -> Option<Refusal> {
        let headers = &request.headers;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Some(Refusal::Method);
        }
        let has_no_body = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
        if !has_no_body || headers.contains_key(TRANSFER_ENCODING) {
            return Some(Refusal::Body);
        }
        // a target with a server in it counts before the header (RFC 9112, section 3.2.2): here neither may be another's
        let Some(host) = the_host(headers) else { return Some(Refusal::NoHost) };
        let is_ours = |server: &Authority| self.is_ours(server, local);
        if !is_ours(&host) || !request.uri.authority().is_none_or(is_ours) {
            return Some(Refusal::OtherHost);
        }
        let says = |name: HeaderName, value: &str| headers.get(name).is_some_and(|said| said == value);
        // a link leads here; a frame or an object is within the other site's page
        let is_link = says(FETCH_MODE, "navigate") && says(FETCH_DEST, "document");
        if says(FETCH_SITE, "cross-site") && !is_link {
            return Some(Refusal::OtherSite);
        }
        let token = self.token.as_ref()?;
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let has_token = given.next().is_some_and(|given| token.is_in(given.as_bytes())) && given.next().is_none();
        (!has_token).then_some(Refusal::NoToken)
    }

    /// A server that is this one, for a client that has connected to the address `local`.
    fn is_ours(&self, server: &Authority, local: IpAddr) -> bool {
        if server.as_str().contains('@') {
            return false;
        }
        let name = server.host();
        let name = name.strip_suffix('.').unwrap_or(name);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse();
        // with any port: it may have come through a tunnel
        address.is_ok_and(|address: IpAddr| {
            let address = address.to_canonical();
            address == local.to_canonical() || address.is_loopback()
        }) || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }
}

/// What the `Host` header names, where there is exactly one (RFC 9112, section 3.2).
fn the_host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    Authority::try_from(host.as_bytes()).ok()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "there is nothing to change here: GET and HEAD\n"),
            Self::Body => (StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n"),
            Self::NoHost => (StatusCode::BAD_REQUEST, "a request names its server in one Host header\n"),
            Self::OtherHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "this server does not have that name; --listen-host NAME gives it one\n",
            ),
            Self::OtherSite => (StatusCode::FORBIDDEN, "another web site asks for this\n"),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "the token is missing or wrong: a bearer token, or the password of any user\n",
            ),
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        if matches!(self, Self::Method | Self::Body) {
            // whatever follows is not read as another request
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::NoToken => {
                for scheme in ["Basic realm=\"portlabel\", charset=\"UTF-8\"", "Bearer realm=\"portlabel\""] {
                    headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
                }
            }
            Self::Body | Self::NoHost | Self::OtherHost | Self::OtherSite => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const LOCAL: [u8; 4] = [192, 0, 2, 1];

    /// What becomes of a request with such a target and headers, which comes to [`LOCAL`].
    fn refusal(target: &str, headers: &[(&str, &str)]) -> Option<Refusal> {
        let access = Access { token: None, hosts: vec!["stats.example.org".to_owned()] };
        let request = Request::get(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (head, ()) = request.body(()).expect("a request").into_parts();
        access.refusal(&head, LOCAL.into())
    }

    #[test]
    fn a_server_has_its_names_and_no_others() {
        use Refusal::{NoHost, OtherHost};
        let cases = [
            ("localhost", None),
            ("LOCALHOST:9465", None),
            ("localhost.:9465", None),
            ("127.0.0.1", None),
            ("127.8.8.8:1", None),
            ("[::1]:9465", None),
            ("192.0.2.1:9465", None),
            ("[::ffff:192.0.2.1]:9465", None),
            ("stats.example.org", None),
            ("Stats.Example.Org.:443", None),
            ("192.0.2.2:9465", Some(OtherHost)),
            ("[2001:db8::1]", Some(OtherHost)),
            ("0.0.0.0:9465", Some(OtherHost)),
            ("example.org", Some(OtherHost)),
            ("127.0.0.1.example.org", Some(OtherHost)),
            ("localhost.example.org", Some(OtherHost)),
            ("evil.stats.example.org", Some(OtherHost)),
            ("2130706433", Some(OtherHost)),
            ("user@localhost", Some(OtherHost)),
            ("", Some(NoHost)),
            ("local host", Some(NoHost)),
            ("localhost/", Some(NoHost)),
            ("localhost:80:80", Some(NoHost)),
        ];
        for (host, want) in cases {
            assert_eq!(refusal("/", &[("host", host)]), want, "{host:?}");
        }
        assert_eq!(refusal("/", &[]), Some(NoHost));
        assert_eq!(refusal("/", &[("host", "localhost"), ("host", "localhost")]), Some(NoHost));
        assert_eq!(refusal("http://localhost/", &[("host", "localhost")]), None);
        assert_eq!(refusal("http://evil.example/", &[("host", "localhost")]), Some(OtherHost));
        assert_eq!(refusal("http://localhost/", &[("host", "evil.example")]), Some(OtherHost));
    }

    #[test]
    fn requests_with_a_body_and_those_of_other_sites_are_refused() {
        let cases = [
            ("content-length", "0", None),
            ("content-length", "1", Some(Refusal::Body)),
            ("content-length", "00", Some(Refusal::Body)),
            ("transfer-encoding", "chunked", Some(Refusal::Body)),
            ("sec-fetch-site", "same-origin", None),
            ("sec-fetch-site", "none", None),
            ("sec-fetch-site", "cross-site", Some(Refusal::OtherSite)),
        ];
        for (name, value, want) in cases {
            assert_eq!(refusal("/", &[("host", "localhost"), (name, value)]), want, "{name}: {value}");
        }
        let cases = [
            ("navigate", "document", None),
            ("navigate", "iframe", Some(Refusal::OtherSite)),
            ("navigate", "frame", Some(Refusal::OtherSite)),
            ("navigate", "embed", Some(Refusal::OtherSite)),
            ("navigate", "object", Some(Refusal::OtherSite)),
            ("navigate", "", Some(Refusal::OtherSite)),
            ("no-cors", "document", Some(Refusal::OtherSite)),
        ];
        for (mode, becomes, want) in cases {
            let other_site = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
            let headers = [&other_site[..], &[("sec-fetch-mode", mode), ("sec-fetch-dest", becomes)]].concat();
            assert_eq!(refusal("/", &headers), want, "{mode} {becomes}");
        }
    }
}
