#!/bin/sh
# Rebuilds data/services.tsv from the two packages that carry IANA's port registry, which it fetches.
set -eu
cd "$(dirname "$0")/../.."
tests/setup/install-debian.sh npm python3

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
python3 data/rebuild.py --versions | while read -r name version; do
    case $name in
    port-desc)
        # a crate that needs it is how cargo fetches one
        mkdir -p "$packages/crate/src"
        touch "$packages/crate/src/lib.rs"
        printf '[package]\nname = "names"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
            "$name" "$version" >"$packages/crate/Cargo.toml"
        cargo vendor --quiet --versioned-dirs --manifest-path "$packages/crate/Cargo.toml" "$packages/vendor" >/dev/null
        cp "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$name-$version.crate" "$packages/"
        ;;
    *) (cd "$packages" && npm pack --silent "$name@$version" >/dev/null) ;;
    esac
done
python3 data/rebuild.py "$packages"/*.crate "$packages"/*.tgz
