#!/usr/bin/env python3
"""strip_host.py FILE...: takes the recording machine's processor and kernel out of pcapng files, in place.

dumpcap writes them into the section header block (shb_hardware, shb_os) and each interface description (if_os). Files
are little-endian, as dumpcap writes them on the machines that record.
"""
import struct
import sys

# block type: where its options begin, and which of them to leave out
HOST_OPTIONS = {0x0A0D0D0A: (24, (2, 3)), 1: (16, (12, 15))}


def without_host(block, options_at, left_out):
    kept, at = b"", options_at
    while at < len(block) - 4:
        code, length = struct.unpack_from("<HH", block, at)
        end = at + 4 + (length + 3) // 4 * 4
        if code not in left_out:
            kept += block[at:end]
        at = end
    total = struct.pack("<I", options_at + len(kept) + 4)
    return block[:4] + total + block[8:options_at] + kept + total


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = file.read()
    out, at = b"", 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        block = data[at:at + length]
        out += without_host(block, *HOST_OPTIONS[kind]) if kind in HOST_OPTIONS else block
        at += length
    with open(path, "wb") as file:
        file.write(out)
