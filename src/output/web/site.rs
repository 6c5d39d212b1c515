//! What is served, and under which paths.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use super::super::metrics::Exposition;
use super::super::page::{self, ChartQuery};
use super::super::told::Told;
use super::edition::Edition;
use super::guests::Seat;
use super::stream;
use super::works::{Chart, Works};
use crate::snapshot::Snapshot;

/// How long clients wait before they ask again for what is not there yet, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The policy of everything that is no page: it loads nothing, and nothing shows it.
const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Headers of every response. The page and what it loads are for nobody else's page to show, read or keep a handle of.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What there is to see, and whether more will come.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    /// The latest snapshot; `None` before the first.
    pub(super) edition: Option<Arc<Edition>>,
    /// What was told of the inputs.
    pub(super) told: Arc<Told>,
    /// It is the last.
    pub(super) is_over: bool,
}

/// Everything that is served.
#[derive(Debug)]
pub(super) struct Site {
    now: watch::Sender<Now>,
    works: Mutex<Works>,
}

impl Site {
    /// Before the first snapshot, with metrics of their own for at most `metrics_services` services.
    pub(super) fn new(metrics_services: usize) -> Arc<Self> {
        let works = Mutex::new(Works::new(metrics_services));
        Arc::new(Self { now: watch::Sender::default(), works })
    }

    /// Puts a newer snapshot in the place of the one before.
    pub(super) fn update(&self, snapshot: Arc<Snapshot>) {
        self.works().update(&snapshot);
        let is_over = snapshot.is_final;
        let edition = Some(Arc::new(Edition::new(snapshot)));
        self.now.send_modify(|now| (now.edition, now.is_over) = (edition, is_over));
    }

    /// Keeps what was told of the inputs.
    pub(super) fn told(&self, text: &str) {
        self.now.send_modify(|now| Arc::make_mut(&mut now.told).add(text));
    }

    /// Ends the streams: nothing more will come.
    pub(super) fn end(&self) {
        self.now.send_modify(|now| now.is_over = true);
    }

    /// What there is now, and to wait for.
    pub(super) fn watch(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }

    fn works(&self) -> MutexGuard<'_, Works> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edition(&self) -> Option<Arc<Edition>> {
        self.now.borrow().edition.clone()
    }
}

/// The paths.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/charts/{name}", get(chart))
        .route("/metrics", get(metrics))
        .route("/api/v1/snapshot", get(snapshot))
        .route("/api/v1/stream", get(stream))
        .fallback(nothing)
        .with_state(site)
}

async fn page() -> Response {
    let document = page::live();
    // a policy that is no header's value would be none at all
    let policy = HeaderValue::from_str(&document.policy).unwrap_or(NO_CONTENT);
    ([(CONTENT_SECURITY_POLICY, policy)], Html(document.html.as_str())).into_response()
}

async fn chart(State(site): State<Arc<Site>>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let Some(query) = ChartQuery::parse(&name, &query.unwrap_or_default()) else { return nothing().await };
    match site.works().chart(query) {
        Chart::Svg(svg) => typed("image/svg+xml", svg),
        Chart::Nothing => (StatusCode::NOT_FOUND, "there are no values to draw\n").into_response(),
        Chart::Later => later("too many charts are drawn\n"),
    }
}

async fn metrics(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    let form = Exposition::accepted(&accepted.collect::<Vec<_>>().join(", "));
    typed(form.content_type(), site.works().exposition(form))
}

async fn snapshot(State(site): State<Arc<Site>>) -> Response {
    match site.edition() {
        Some(edition) => typed("application/json", edition.document()),
        None => later("nothing was counted yet\n"),
    }
}

async fn stream(State(site): State<Arc<Site>>, Extension(seat): Extension<Arc<Seat>>) -> Response {
    match seat.stream() {
        Some(place) => typed("text/event-stream", stream::body(site.watch(), place)),
        None => later("as many streams are open as there may be\n"),
    }
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "there is /, /metrics, /api/v1/snapshot, /api/v1/stream, and /charts/ for the page\n")
        .into_response()
}

fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body.into()).into_response()
}

/// What is there soon.
fn later(text: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], text).into_response()
}

/// The response with what every response has.
pub(super) fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_CONTENT);
    response
}
