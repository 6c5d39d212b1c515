//! The thread that serves: connections are accepted, requests checked and answered, and clients that waste time let go.

use std::convert::Infallible;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::setpriority_process;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::access::Access;
use super::feed::{Feed, News};
use super::guests::{Guests, Seat};
use super::patient::Patient;
use super::site::{self, Site};

/// A request has to be there whole by then, and the next one on its connection.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// No request is longer, in bytes, nor has more headers.
const MAX_REQUEST_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// How long clients that are being answered when the run ends have for taking the answer.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before accepting again when the system has no room for a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How much less of the processor this thread gets than the others when all want it (nice(1)): a tenth.
const NICENESS: i32 = 10;

/// Serves until the feed is closed.
pub(super) async fn serve(listener: TcpListener, access: Access, site: Arc<Site>, feed: Feed) {
    // the kernel may refuse it, and then they share
    let _ = setpriority_process(None, NICENESS);
    let (end, ending) = watch::channel(false);
    let guests = Arc::new(Guests::default());
    let reception = Reception {
        http: protocol(),
        router: site::router(Arc::clone(&site)),
        access: Arc::new(access),
        guests: Arc::clone(&guests),
        ending,
    };
    let accepting = tokio::spawn(reception.accept(listener));
    while let News::Snapshot(snapshot) = feed.next().await {
        site.update(snapshot);
        // requests come between snapshots, however many there are
        tokio::task::yield_now().await;
    }
    accepting.abort();
    site.end();
    end.send_replace(true);
    // who has not gone by then is let go with the runtime
    let _ = timeout(LAST_PATIENCE, guests.until_nobody()).await;
}

/// HTTP/1.1, with limits.
fn protocol() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // who has said all that it wants to say is answered
        .half_close(true)
        .header_read_timeout(REQUEST_PATIENCE)
        .max_buf_size(MAX_REQUEST_BYTES)
        .max_headers(MAX_HEADERS);
    http
}

/// What takes connections.
struct Reception {
    http: http1::Builder,
    router: Router,
    access: Arc<Access>,
    guests: Arc<Guests>,
    ending: watch::Receiver<bool>,
}

impl Reception {
    async fn accept(self, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return super::super::say(&format_args!("the page cannot be served: {error}")),
        };
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    if let Some(seat) = self.guests.let_in(client.ip()) {
                        self.attend(stream, seat);
                        // whoever has asked by now is heard before the next one is let in, who might take its place
                        yield_now().await;
                    }
                }
                // the client has gone already, or too many files are open
                Err(_) => sleep(ACCEPT_AGAIN).await,
            }
        }
    }

    /// Answers what comes over a connection, in a task of its own.
    fn attend(&self, stream: TcpStream, seat: Seat) {
        // without either, the client has gone
        let Ok(local) = stream.local_addr() else { return };
        let Ok(()) = stream.set_nodelay(true) else { return };
        let seat = Arc::new(seat);
        let desk = Arc::new(Desk {
            inner: TowerToHyperService::new(self.router.clone()),
            access: Arc::clone(&self.access),
            local: local.ip(),
            seat: Arc::clone(&seat),
        });
        let service = service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(desk.answer(request).await) }
        });
        let connection = self.http.serve_connection(TokioIo::new(Patient::new(stream)), service);
        let mut ending = self.ending.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // how it ends is the client's affair
            tokio::select! {
                // who has asked is answered, also when it has to go
                biased;
                _ = connection.as_mut() => return,
                () = seat.until_dismissed() => return,
                _ = ending.wait_for(|is_ending| *is_ending) => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
}

/// Where the requests of one connection are answered.
struct Desk {
    inner: TowerToHyperService<Router>,
    access: Arc<Access>,
    /// Which address of this host the client has connected to.
    local: IpAddr,
    seat: Arc<Seat>,
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let _stays = self.seat.heard();
        let (mut head, body) = request.into_parts();
        let response = match self.access.refusal(&head, self.local) {
            Some(refusal) => refusal.into_response(),
            None => {
                drop(body);
                head.extensions.insert(Arc::clone(&self.seat));
                match self.inner.call(Request::from_parts(head, Body::empty())).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
        };
        site::sealed(response)
    }
}
