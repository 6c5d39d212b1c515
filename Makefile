# make               the same as `make run`
# make run           installs libpcap's headers if they are missing, builds, and prints the table of a small capture
# make test          installs what the tests need, then formatting, lints and tests
# make build         builds what is installed
# make install       builds, and puts program, man pages, completions, unit and dashboard below DESTDIR and PREFIX=/usr/local
# make uninstall     removes them
# make bench         installs peers (Debian), and prints a table of portlabel beside an empty loop over libpcap and beside them;
#                    captures take 10 GB under target/bench. RUNS=5 of each, ROWS="headers full" for these alone
# make bench-check   instruction counts against the committed ones (valgrind, from Debian); UPDATE=1 writes them anew
# make bench-stages  each stage of the packet path alone
# make bench-live    live capture under load, beside tcpdump; RUNS=5 of each; as root
# make soak          a live run for SECONDS_LONG=3600 at RATE=10000 packets a second, watched all the while; as root
# make fuzz          fuzzes the engine, the page, and whatever reads captures, reports and names, each for FUZZ_SECONDS=60; takes a
#                    nightly compiler
# make fixtures      installs servers and clients (Debian), then records fixtures/ anew; CASES="dns ssh" records only these; as root
# make names         rebuilds data/services.tsv from the packages that carry IANA's port registry, which it fetches
# make clean         removes what was built
# make help          prints this
.POSIX:

CASES =
RUNS = 5
ROWS =
FUZZ_SECONDS = 60

PREFIX = /usr/local
DESTDIR =
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man/man1
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
UNITDIR = $(PREFIX)/lib/systemd/system
GRAFANADIR = $(PREFIX)/share/portlabel/grafana
# where what is installed was built
BUILT = target/release

run: headers
	cargo build --release --locked
	target/release/portlabel fixtures/office/capture.pcapng

test: headers
	tests/setup/test-tools.sh
	cargo fmt --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --all-targets --all-features --locked -- -D warnings
	cargo test --all-features --locked

install: build
	umask 022 && mkdir -p $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR) $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) \
	    $(DESTDIR)$(FISHDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(GRAFANADIR)
	rm -rf $(BUILT)/manual
	$(BUILT)/portlabel-manual $(BUILT)/manual
	install -m 755 $(BUILT)/portlabel $(DESTDIR)$(BINDIR)/portlabel
	install -m 644 $(BUILT)/manual/*.1 $(DESTDIR)$(MANDIR)/
	install -m 644 $(BUILT)/manual/portlabel.bash $(DESTDIR)$(BASHDIR)/portlabel
	install -m 644 $(BUILT)/manual/_portlabel $(DESTDIR)$(ZSHDIR)/_portlabel
	install -m 644 $(BUILT)/manual/portlabel.fish $(DESTDIR)$(FISHDIR)/portlabel.fish
	sed 's|/usr/local/bin|$(BINDIR)|' data/systemd/portlabel@.service >$(BUILT)/manual/portlabel@.service
	install -m 644 $(BUILT)/manual/portlabel@.service $(DESTDIR)$(UNITDIR)/portlabel@.service
	install -m 644 data/grafana/portlabel.json $(DESTDIR)$(GRAFANADIR)/portlabel.json

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/portlabel $(DESTDIR)$(MANDIR)/portlabel.1 $(DESTDIR)$(MANDIR)/portlabel-*.1 \
	    $(DESTDIR)$(BASHDIR)/portlabel $(DESTDIR)$(ZSHDIR)/_portlabel $(DESTDIR)$(FISHDIR)/portlabel.fish \
	    $(DESTDIR)$(UNITDIR)/portlabel@.service $(DESTDIR)$(GRAFANADIR)/portlabel.json

build: headers
	cargo build --release --locked --features manual

bench: headers
	tests/setup/bench-tools.sh
	PATH="$$PATH:/usr/sbin:/sbin" cargo bench --locked --bench ratio -- --runs $(RUNS) $(ROWS)

# what is given to make is in the environment
bench-check: headers
	tests/setup/install-debian.sh valgrind editcap:wireshark-common
	cargo bench --locked --bench instructions -- $${UPDATE:+--update}

bench-stages: headers
	cargo bench --locked --bench stages

bench-live: headers
	cargo build --release --locked
	RUNS=$(RUNS) tests/bench/live.sh

# what is given to make is in the environment
soak: headers
	cargo build --release --locked
	tests/soak.sh

fuzz: headers
	tests/fuzz/run.sh $(FUZZ_SECONDS)

fixtures:
	tests/setup/record-tools.sh
	tests/record/record.sh $(CASES)

names:
	tests/setup/names.sh

clean:
	cargo clean

help:
	@sed -n '/^\.POSIX/q; s/^# //p' Makefile

headers:
	@tests/setup/libpcap-headers.sh

.PHONY: run test install uninstall build bench bench-check bench-stages bench-live soak fuzz fixtures names clean help headers
