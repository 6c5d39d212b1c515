//! Tests of the whole: one binary, one module a subject.
//!
//! What a file of `src/` promises for itself is tested in that file. Here stands what holds between files, and what users
//! meet. Tests that need the corpus take its place from `PORTLABEL_CORPUS`, and say so when it is not set.

// What several subjects stand on: the cases of `fixtures/`, the binary as a process, also as one that goes on until it is
// told to stop, captures counted and put together without `source`, frames made by hand, what must add up whatever comes,
// and hosts with a wire between.
mod cases;
mod frames;
mod laws;
mod netns;
mod program;
mod records;
mod running;

// What grows, driven to its limit: memory, and totals that stay true.
mod bounds;
// The binary as users meet it: arguments, streams, signals, exit codes, messages.
mod cli;
// Laws of counting that hold for any packets: sums, directions, intervals, batches, reversed and translated traffic.
mod conservation;
// What only the corpus shows: hundreds of captures of others, of which none may crash, miscount or depend on threads.
mod corpus;
// BPF filters against tcpdump.
mod filters;
// Names: users' files, IANA's, the list that the project started from on packets, and the tables against their sources.
mod names;
// The documentation of every key.
mod keys;
// `portlabel diff`.
mod diff;
// `portlabel explain`, also against the labels of packets.
mod explain;
// What `make install` puts in place.
#[cfg(feature = "manual")]
mod install;
// Labels against payload inspection.
mod labels;
// `portlabel lookup`.
mod lookup;
// Packets in pieces, and which flow the pieces belong to.
mod fragments;
// Every fixture against its reviewed report, and against totals that were counted by others.
mod golden;
// What SIGUSR1 is answered while captures are read.
mod how_far;
// Bytes that want to do harm: random, cut, flipped; in frames and in files.
mod hostile;
// The order of layers in `src/`, and which of them may know which dependency.
mod layering;
// Sockets that listen in a network namespace.
mod listeners;
// Metrics, as programs take them that people run.
mod metrics;
// What a process can still do that has given up its rights.
mod privileges;
// The page, live and as a report, in a real browser.
mod page;
// `-o tui` in a real terminal.
mod screen;
// Live capture, on wires that the tests make.
mod live;
// What goes wrong around a run: disks, files, clocks, limits, signals.
mod faults;
// Outputs that would write into each other, or into an input.
mod places;
// Files that `-w` writes.
mod saved;
// `portlabel merge` and `portlabel schema`.
mod merge;
// Container readers against tshark and another crate, packet by packet.
mod second_opinion;
// The compiler that dependencies ask for.
mod supply;
// What a terminal gets to see.
mod terminal;
// The captures that benchmarks make.
mod synthetic;
// `--listen`: who is let in, what is served, and clients that want to do harm.
mod web;
// Packets in packets: what is around a packet, and which of the ports count.
mod tunnels;
// Ten years of packet time.
mod years;
