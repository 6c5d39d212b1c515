#!/bin/sh
# install-debian.sh COMMAND[:PACKAGE]...: installs the packages whose commands are missing. Without a colon, both
# have one name. What has no command is named by a file: /PATH:PACKAGE.
# Without apt-get, or without the right to use it, names the missing commands and fails.
set -eu

PATH=$PATH:/usr/sbin:/sbin
commands="" packages=""
for tool; do
    case $tool in
        /*) [ -e "${tool%%:*}" ] && found=1 || found=0 ;;
        *) command -v "${tool%%:*}" >/dev/null 2>&1 && found=1 || found=0 ;;
    esac
    if [ "$found" -eq 0 ]; then
        commands="$commands ${tool%%:*}"
        packages="$packages ${tool##*:}"
    fi
done
if [ -z "$commands" ]; then exit 0; fi

if [ "$(id -u)" -eq 0 ]; then as_root=
elif command -v sudo >/dev/null 2>&1; then as_root=sudo
else as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "These commands are missing and must be installed by hand:$commands" >&2
    exit 1
fi

# Debian starts a server when it is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    trap '$as_root rm -f "$policy"' EXIT
    $as_root chmod 755 "$policy"
fi

echo "Installing$packages ..." >&2
# The first try fails where the package lists are missing or old.
# shellcheck disable=SC2086 # lists of words
install() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages; }
install || {
    # shellcheck disable=SC2086 # a word or nothing
    $as_root apt-get update
    install
}
