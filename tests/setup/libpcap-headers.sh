#!/bin/sh
# Installs libpcap's headers unless a C program can already be built with them.
set -eu

usable() {
    dir=$(mktemp -d)
    printf '#include <pcap.h>\nint main(void) { return pcap_lib_version() == 0; }\n' >"$dir/check.c"
    status=0
    "${CC:-cc}" -o "$dir/check" "$dir/check.c" -lpcap >"$dir/log" 2>&1 || status=$?
    reason=$(head -n 1 "$dir/log")
    rm -rf "$dir"
    return "$status"
}

fail() {
    echo "portlabel needs a C compiler and libpcap's headers, and \"${CC:-cc}\" cannot build with them: $reason" >&2
    echo "$1" >&2
    echo "Packages: libpcap-dev (Debian, Ubuntu, Alpine), libpcap-devel (Fedora, openSUSE), libpcap (Arch, Homebrew)." >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

if usable; then exit 0; fi

# Without a compiler no header helps; that is for the user to choose.
if ! has "${CC:-cc}"; then fail "Install a C compiler first (gcc or clang)."; fi

if [ "$(id -u)" -eq 0 ]; then as_root=
elif has sudo; then as_root=sudo
elif has brew; then as_root=
else fail "Install them by hand: you are not root and there is no sudo."
fi

echo "Installing libpcap's headers ..." >&2
# shellcheck disable=SC2086 # as_root is a word or nothing
if has apt-get; then
    # The first try fails where the package lists are missing or old.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y libpcap-dev || {
        $as_root apt-get update
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y libpcap-dev
    } || fail "apt-get could not install libpcap-dev."
elif has dnf; then $as_root dnf install -y libpcap-devel || fail "dnf could not install libpcap-devel."
elif has pacman; then $as_root pacman -S --needed --noconfirm libpcap || fail "pacman could not install libpcap."
elif has apk; then $as_root apk add libpcap-dev || fail "apk could not install libpcap-dev."
elif has brew; then brew install libpcap || fail "brew could not install libpcap."
else fail "Install them by hand: no package manager known here was found."
fi

usable || fail "They were installed, but do not work."
