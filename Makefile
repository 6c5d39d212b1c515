# make            the same as `make run`
# make run        installs libpcap's headers if they are missing, builds, and prints the table of a small capture
# make test       installs what the tests need, then formatting, lints and tests
# make bench      benchmarks
# make fixtures   installs servers and clients (Debian), then records fixtures/ anew; CASES="dns ssh" records only these; as root
# make names      rebuilds data/services.tsv from the packages that carry IANA's port registry, which it fetches
# make clean      removes what was built
# make help       prints this
.POSIX:

CASES =

run: headers
	cargo build --release --locked
	target/release/portlabel fixtures/office/capture.pcapng

test: headers
	tests/setup/test-tools.sh
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

bench: headers
	cargo bench --locked

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

.PHONY: run test bench fixtures names clean help headers
