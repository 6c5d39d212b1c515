//! Who is connected: as many as there may be, and of one client not so many that there is no room for others.
//!
//! Who comes when there is no room is let in, and whoever has been silent for longest has to go, among those of the client
//! with most connections. So connections that are opened and left alone keep nobody out. Streams stay; there are fewer of
//! them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections at a time.
const MAX_GUESTS: usize = 256;
/// Those of one client.
const MAX_OF_ONE: usize = MAX_GUESTS / 2;

/// Streams at a time.
const MAX_STREAMS: usize = 64;
/// Those of one client.
const MAX_STREAMS_OF_ONE: usize = MAX_STREAMS / 2;

/// The connections.
#[derive(Debug, Default)]
pub(super) struct Guests {
    book: Mutex<Book>,
    nobody: Notify,
}

#[derive(Debug, Default)]
struct Book {
    guests: HashMap<u64, Guest>,
    /// Counts what happens: a smaller number is earlier.
    clock: u64,
}

#[derive(Debug)]
struct Guest {
    client: IpAddr,
    /// When it was let in, or asked for something last, on the book's clock.
    heard: u64,
    /// It has a stream, and is not silent of its own will.
    has_stream: bool,
    /// It waits for an answer, and neither is.
    is_waiting: bool,
    dismissed: Arc<Notify>,
}

/// A connection that is in the book, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Arc<Guests>,
    number: u64,
    dismissed: Arc<Notify>,
}

impl Guests {
    /// Lets a client in. Another one may have to go for it; `None` when none can.
    pub(super) fn let_in(self: &Arc<Self>, client: IpAddr) -> Option<Seat> {
        let client = network(client);
        let mut book = self.book();
        let of_client = book.guests.values().filter(|guest| guest.client == client).count();
        if of_client >= MAX_OF_ONE {
            book.dismiss(client)?;
        } else if book.guests.len() >= MAX_GUESTS {
            let greediest = book.greediest()?;
            book.dismiss(greediest)?;
        }
        book.clock += 1;
        let number = book.clock;
        let dismissed = Arc::new(Notify::new());
        let guest =
            Guest { client, heard: number, has_stream: false, is_waiting: false, dismissed: Arc::clone(&dismissed) };
        book.guests.insert(number, guest);
        Some(Seat { guests: Arc::clone(self), number, dismissed })
    }

    /// Waits until everybody has gone.
    pub(super) async fn until_nobody(&self) {
        loop {
            let gone = self.nobody.notified();
            if self.book().guests.is_empty() {
                return;
            }
            gone.await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Ends the connection of a client that was silent for longest.
    fn dismiss(&mut self, client: IpAddr) -> Option<()> {
        let may_go = self.guests.iter().filter(|(_, guest)| guest.client == client && guest.may_go());
        let number = *may_go.min_by_key(|(_, guest)| guest.heard)?.0;
        self.guests.remove(&number)?.dismissed.notify_one();
        Some(())
    }

    /// The client with most connections that can go.
    fn greediest(&self) -> Option<IpAddr> {
        let mut counts = HashMap::new();
        for guest in self.guests.values().filter(|guest| guest.may_go()) {
            *counts.entry(guest.client).or_insert(0) += 1;
        }
        counts.into_iter().max_by_key(|(_, count): &(_, usize)| *count).map(|(client, _)| client)
    }
}

impl Guest {
    fn may_go(&self) -> bool {
        !self.has_stream && !self.is_waiting
    }
}

impl Seat {
    /// Waits until it has to go.
    pub(super) async fn until_dismissed(&self) {
        self.dismissed.notified().await;
    }

    /// It asks for something, and stays until it has the answer.
    pub(super) fn heard(&self) -> Waiting<'_> {
        let mut book = self.guests.book();
        book.clock += 1;
        let now = book.clock;
        if let Some(guest) = book.guests.get_mut(&self.number) {
            guest.heard = now;
            guest.is_waiting = true;
        }
        Waiting(self)
    }

    /// Room for a stream on this connection, if there is any.
    pub(super) fn stream(self: Arc<Self>) -> Option<StreamPlace> {
        let mut book = self.guests.book();
        let client = book.guests.get(&self.number)?.client;
        let streams = || book.guests.values().filter(|guest| guest.has_stream);
        let of_client = streams().filter(|guest| guest.client == client).count();
        if of_client >= MAX_STREAMS_OF_ONE || streams().count() >= MAX_STREAMS {
            return None;
        }
        book.guests.get_mut(&self.number)?.has_stream = true;
        drop(book);
        Some(StreamPlace(self))
    }
}

/// A connection that waits for an answer, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'s>(&'s Seat);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Seat { guests, number, .. } = self.0;
        if let Some(guest) = guests.book().guests.get_mut(number) {
            guest.is_waiting = false;
        }
    }
}

/// One of the streams that may be open.
#[derive(Debug)]
pub(super) struct StreamPlace(Arc<Seat>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let Seat { guests, number, .. } = &*self.0;
        if let Some(guest) = guests.book().guests.get_mut(number) {
            guest.has_stream = false;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut book = self.guests.book();
        book.guests.remove(&self.number);
        if book.guests.is_empty() {
            self.guests.nobody.notify_waiters();
        }
    }
}

/// What counts as one client: an address, of IPv6 the half that tells networks apart, as a host has the other to itself.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;

    use super::*;

    fn client(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn is_dismissed(seat: &Seat) -> bool {
        seat.until_dismissed().now_or_never().is_some()
    }

    #[test]
    fn one_client_does_not_keep_others_out() {
        let guests = Arc::new(Guests::default());
        let seats: Vec<_> = (0..MAX_OF_ONE).map(|_| guests.let_in(client(1)).expect("there is room")).collect();
        drop(seats[0].heard());
        let others: Vec<_> = (0..MAX_GUESTS - MAX_OF_ONE)
            .map(|at| guests.let_in(client(2 + u8::try_from(at % 50).expect("small"))).expect("there is room"))
            .collect();
        assert!(!seats.iter().chain(&others).any(is_dismissed));
        let _more = guests.let_in(client(100)).expect("somebody goes");
        let went: Vec<_> = seats.iter().map(is_dismissed).collect();
        assert_eq!(went.iter().position(|went| *went), Some(1), "the first one was heard of since");
        assert_eq!(went.iter().filter(|went| **went).count(), 1);
        assert!(!others.iter().any(is_dismissed));
        let _again = guests.let_in(client(1)).expect("there is one place");
        let _in_place_of_its_own = guests.let_in(client(1)).expect("its oldest goes");
        assert!(is_dismissed(&seats[2]));
        assert!(!others.iter().any(is_dismissed));
    }

    #[test]
    fn who_waits_for_an_answer_stays() {
        let guests = Arc::new(Guests::default());
        let let_in = || guests.let_in(client(1)).expect("somebody goes");
        let seats: Vec<_> = (0..MAX_OF_ONE).map(|_| let_in()).collect();
        let waiting = seats[0].heard();
        let others: Vec<_> = (1..MAX_OF_ONE).map(|_| let_in()).collect();
        assert_eq!(seats.iter().map(is_dismissed).filter(|went| *went).count(), MAX_OF_ONE - 1);
        let _more = let_in();
        assert!(is_dismissed(&others[0]), "it has been silent for a shorter time, and waits for nothing");
        drop(waiting);
        let _more = let_in();
        assert!(is_dismissed(&seats[0]));
    }

    #[test]
    fn streams_stay_and_networks_are_one_client() {
        let guests = Arc::new(Guests::default());
        let host = |number: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) + number));
        let let_in = |number| guests.let_in(host(number)).map(Arc::new).expect("there is room");
        let seats: Vec<_> = (0..MAX_OF_ONE as u128).map(let_in).collect();
        let stream = |seat: &Arc<Seat>| Arc::clone(seat).stream();
        let mut streams: Vec<_> = seats[..MAX_STREAMS_OF_ONE].iter().map(|seat| stream(seat).expect("room")).collect();
        assert!(stream(&seats[50]).is_none(), "it has as many as one may have");
        let elsewhere = let_in(1 << 64);
        streams.push(stream(&elsewhere).expect("there is room for others"));
        let more = let_in(500);
        assert_eq!(seats.iter().position(|seat| is_dismissed(seat)), Some(MAX_STREAMS_OF_ONE), "not one with a stream");

        streams.truncate(1);
        assert!(stream(&seats[50]).is_some());
        assert!(guests.until_nobody().now_or_never().is_none());
        drop((seats, elsewhere, more, streams));
        assert!(guests.until_nobody().now_or_never().is_some());
    }
}
