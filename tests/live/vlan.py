"""vlan.py LINK NAME ID: an interface NAME whose frames pass LINK with the 802.1Q tag ID, as long as this runs.

Stands in for `ip link add link LINK type vlan`, which not every kernel has.
"""
import contextlib
import fcntl
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
AUXDATA = struct.Struct("=IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid (packet(7))
ETH_P_ALL, TPID, ADDRESSES_LEN, FRAME_LEN = 3, 0x8100, 12, 65_536

link, name, vlan = sys.argv[1], sys.argv[2], int(sys.argv[3])
tap = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.bind((link, 0))
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

while True:
    for ready in select.select([tap, wire], [], [])[0]:
        if ready is tap:
            frame = tap.read(FRAME_LEN)
            wire.send(frame[:ADDRESSES_LEN] + struct.pack("!HH", TPID, vlan) + frame[ADDRESSES_LEN:])
        else:
            frame, extra, _, sender = wire.recvmsg(FRAME_LEN, socket.CMSG_SPACE(AUXDATA.size))
            # the kernel takes tags off the frames that it receives, and tells them beside
            tags = [AUXDATA.unpack(data)[5] & 0xFFF for level, kind, data in extra if (level, kind) == (SOL_PACKET, PACKET_AUXDATA)]
            if sender[2] != PACKET_OUTGOING and tags == [vlan]:
                # an interface that is not up yet takes nothing
                with contextlib.suppress(OSError):
                    tap.write(frame)
