"""families.py NAMES -- PROGRAM ARGUMENTS...: becomes a program that can open sockets of some address families only.

NAMES are those of systemd's RestrictAddressFamilies, separated by blanks, and what is refused is refused as there:
socket(2) fails with EAFNOSUPPORT (seccomp(2)).
"""

import ctypes
import errno
import os
import socket
import struct
import sys

names, separator, program, *arguments = sys.argv[1:]
assert separator == "--"
families = [getattr(socket, name) for name in names.split()]

# of linux/filter.h, linux/seccomp.h, linux/audit.h and asm/unistd.h
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
SYS_SOCKET = {"x86_64": 41, "aarch64": 198, "riscv64": 198}[os.uname().machine]
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

code = [(LOAD, 0, 0, NUMBER_AT), (EQUALS, 1, 0, SYS_SOCKET), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT_AT)]
code += [(EQUALS, len(families) - at, 0, family) for at, family in enumerate(families)]
code += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
filter_program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(instructions)))

libc = ctypes.CDLL(None, use_errno=True)
for request in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_program, 0, 0)]:
    if libc.prctl(*request) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(program, [program, *arguments])
