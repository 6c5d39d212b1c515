//! A web page of what is counted, and the same for programs: `--listen`.
//!
//! One thread serves, named `web`, on a single-threaded runtime; it yields the processor to every other thread. The run
//! hands snapshots to it through a [`Feed`] and never waits: what clients do, and how many they are, slows nothing down
//! but the page. Everything that a client can make it do is bounded: connections and streams (`guests`, `stream`), the
//! size of requests and the time that they take (`server`), the time that answers take (`patient`), and the work, as
//! each snapshot becomes text once (`edition`).
//!
//! Who is let in is decided in one place (`access`), before anything else is done for a request.

mod access;
mod address;
mod edition;
mod feed;
mod guests;
mod patient;
mod server;
mod site;
mod stream;
mod token;
mod works;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use tokio::runtime::Builder;

use access::Access;
use site::Site;
use token::Token;

pub use address::{ListenAddr, NoListenAddr};
pub use feed::Feed;
pub use token::TokenError;

/// What the kernel holds of each connection, in bytes: requests are short, and what waits for a client that does not take
/// it is one snapshot of a hundred services or so. Without a limit it would be megabytes.
const SEND_BUFFER_BYTES: usize = 256 << 10;
const RECEIVE_BUFFER_BYTES: usize = 32 << 10;

/// Where a run is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where connections are taken.
    pub addr: ListenAddr,
    /// The file with the token that clients must know; `None` lets everybody in who can connect.
    pub token: Option<PathBuf>,
    /// Names of the server, beside `localhost` and its addresses.
    pub hosts: Vec<String>,
}

/// What keeps a run from being served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Connections cannot be taken there.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// Where they were to be taken.
        addr: ListenAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no good token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Takes connections, and answers them once it is started.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    feed: Feed,
    remark: Option<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    Bound(TcpListener, Access, Arc<Site>),
    Serving(JoinHandle<()>, Arc<Site>),
    Ended,
}

impl Server {
    /// Reads the token and takes connections from now on; at most `metrics_services` services get metrics of their own. To
    /// be done with the privileges that token and port may need.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(listen: &Listen, metrics_services: usize) -> Result<Self, ListenError> {
        let (token, remark) = listen.token.as_deref().map(Token::read).transpose()?.unzip();
        let failed = |source| ListenError::Bind { addr: listen.addr, source };
        let listener = listen.addr.bind().map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        // what it accepts has the same
        set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES).map_err(|errno| failed(errno.into()))?;
        set_socket_recv_buffer_size(&listener, RECEIVE_BUFFER_BYTES).map_err(|errno| failed(errno.into()))?;
        let access = Access { token, hosts: listen.hosts.clone() };
        let state = State::Bound(listener, access, Site::new(metrics_services));
        Ok(Self { addr, feed: Feed::default(), remark: remark.flatten(), state })
    }

    /// Where the page is, for a browser of this host.
    #[must_use]
    pub fn url(&self) -> String {
        let ip = self.addr.ip();
        let host = match ip.to_canonical() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            _ => SocketAddr::new(ip, 0).to_string().trim_end_matches(":0").to_owned(),
        };
        format!("http://{host}:{}/", self.addr.port())
    }

    /// What its user should know about the token.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// What takes the snapshots that are served.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Passes on what was told of the inputs.
    pub fn told(&self, text: &str) {
        let site = match &self.state {
            State::Bound(_, _, site) | State::Serving(_, site) => site,
            State::Ended => return,
        };
        site.told(text);
    }

    /// Starts the thread that serves. To be done when privileges were dropped.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to wait for connections with.
    pub fn start(&mut self) -> io::Result<()> {
        let State::Bound(listener, access, site) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (feed, served) = (self.feed.clone(), Arc::clone(&site));
        let serve = move || {
            let _abandoned = Abandoned(feed.clone());
            runtime.block_on(server::serve(listener, access, served, feed));
        };
        self.state = State::Serving(thread::Builder::new().name("web".to_owned()).spawn(serve)?, site);
        Ok(())
    }

    /// Gives clients what was published last, says good-bye, and ends the thread, within a second or so.
    pub fn end(&mut self) {
        if let State::Serving(thread, _) = std::mem::replace(&mut self.state, State::Ended) {
            self.feed.close();
            // if it has panicked, that was printed, and the run goes on without it
            drop(thread.join());
        }
    }
}

/// Nobody waits for a thread that is gone, whatever has ended it.
struct Abandoned(Feed);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
