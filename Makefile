# make            the same as `make run`
# make run        installs libpcap's headers if they are missing, builds, and prints the table of a small capture
# make test       installs what the tests need, then formatting, lints and tests
# make bench      benchmarks
# make bench-live live capture under load, beside tcpdump; as root, with PORTLABEL_BENCH
# make fuzz       fuzzes the decoder and the readers, each for FUZZ_SECONDS=60; takes a nightly compiler and cargo-fuzz
# make fixtures   installs servers and clients (Debian), then records fixtures/ anew; CASES="dns ssh" records only these; as root
# make names      rebuilds data/services.tsv from the packages that carry IANA's port registry, which it fetches
# make clean      removes what was built
# make help       prints this
.POSIX:

CASES =
FUZZ_SECONDS = 60

run: headers
	cargo build --release --locked
	target/release/portlabel fixtures/office/capture.pcapng

test: headers
	tests/setup/test-tools.sh
	cargo fmt --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

bench: headers
	cargo bench --locked

bench-live: headers
	cargo build --release --locked
	tests/bench/live.sh

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
	@sed -n 's/^# //p' Makefile

headers:
	@tests/setup/libpcap-headers.sh

.PHONY: run test bench bench-live fuzz fixtures names clean help headers
