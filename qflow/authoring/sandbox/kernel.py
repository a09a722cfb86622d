"""What the Linux kernel forbids this process from now on, whatever code it runs: Landlock and seccomp.

Neither needs privileges, and neither can be undone. Where the kernel, the architecture or the system's
policy does not have one, that one is left out, and said so.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ: Final = 1 << 2 | 1 << 3  # read a file, list a folder
_EXECUTE: Final = 1 << 0
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}  # rights to files by version of Landlock; 16 since 5

_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_LOAD, _EQUAL, _MASKED, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCH = 0, 4
_THREAD: Final = 0x00010000


class _Numbers(NamedTuple):
    """Of an architecture: its mark in seccomp's data, and the numbers of system calls."""

    mark: int
    denied: tuple[int, ...]
    clone: int
    clone3: int
    socket: int
    sendto: int
    tgkill: int
    prlimit: int


_DENIED_EVERYWHERE: Final = (424, 425, 426, 427, 434, 438, 440)
"""pidfd_send_signal, io_uring_*, pidfd_open, pidfd_getfd, process_madvise: one number on all."""
_ARCHITECTURES: Final = {
    "x86_64": _Numbers(
        0xC000003E,
        # connect accept sendmsg bind listen fork vfork execve kill ptrace setrlimit pivot_root chroot mount
        # umount2 init_module tkill add_key request_key keyctl unshare setns process_vm_* execveat bpf
        (42, 43, 46, 49, 50, 57, 58, 59, 62, 101, 160, 155, 161, 165, 166, 175, 200, 248, 249, 250, 272,
         288, 307, 308, 310, 311, 313, 321, 322, *_DENIED_EVERYWHERE),
        56, 435, 41, 44, 234, 302,
    ),
    "aarch64": _Numbers(
        0xC00000B7,
        (39, 40, 41, 51, 97, 104, 105, 117, 129, 130, 164, 200, 201, 202, 203, 211, 217, 218, 219, 221, 242,
         268, 269, 270, 271, 273, 280, 281, *_DENIED_EVERYWHERE),
        220, 435, 198, 206, 131, 261,
    ),
}  # fmt: skip


def confine(readable: Iterable[str], writable: str) -> list[str]:
    """Forbid this process all it has no need of; return the names of what holds it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    held = []
    if _landlock(libc, readable, writable):
        held.append("landlock")
    if _seccomp(libc):
        held.append("seccomp")
    return held


def _landlock(libc: ctypes.CDLL, readable: Iterable[str], writable: str) -> bool:
    version = libc.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return False
    every = (1 << _RIGHTS.get(version, 16)) - 1
    ruleset = struct.pack("<Q", every)
    handle = libc.syscall(_CREATE, ruleset, len(ruleset), 0)
    if handle < 0:
        return False
    try:
        for path in readable:
            _permit(libc, handle, path, _READ)
        _permit(libc, handle, writable, every & ~_EXECUTE)
        for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
            _permit(libc, handle, device, 1 << 1 | 1 << 2)
        return bool(libc.syscall(_RESTRICT, handle, 0) == 0)
    finally:
        os.close(handle)


def _permit(libc: ctypes.CDLL, handle: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= 1 << 1 | 1 << 2
        libc.syscall(_ADD, handle, 1, struct.pack("<Qi", rights, place), 0)
    finally:
        os.close(place)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _seccomp(libc: ctypes.CDLL) -> bool:
    numbers = _ARCHITECTURES.get(platform.machine())
    if numbers is None:
        return False
    code = b"".join(_rules(numbers))
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)


def _rules(numbers: _Numbers) -> Sequence[bytes]:
    """Return the filter: each rule loads what it looks at, so that none depends on those before it."""
    rules = [
        _step(_LOAD, _ARCH), _step(_EQUAL, numbers.mark, 1, 0), _step(_RETURN, _EPERM),
        _step(_LOAD, _NUMBER),
    ]  # fmt: skip
    for number in numbers.denied:
        rules += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _EPERM)]
    if platform.machine() == "x86_64":  # the x32 numbers, which mean the same by other names
        rules += [_step(_MASKED, 0x40000000, 0, 1), _step(_RETURN, _EPERM)]
    rules += [
        _step(_EQUAL, numbers.clone3, 0, 1),
        _step(_RETURN, _ENOSYS),
    ]  # its flags are out of sight
    rules += _unless(numbers.clone, 0, _MASKED, _THREAD)
    rules += _unless(numbers.socket, 0, _EQUAL, 1)  # AF_UNIX, and that connects nowhere
    rules += _unless_null(numbers.sendto, 4)
    rules += _unless(numbers.tgkill, 0, _EQUAL, os.getpid())
    rules += _unless_null(numbers.prlimit, 2)  # limits may be read
    return [*rules, _step(_RETURN, _ALLOW)]


def _unless(number: int, argument: int, test: int, value: int) -> list[bytes]:
    """Refuse a call unless the lower half of one of its arguments passes a test."""
    return [
        _step(_LOAD, _NUMBER), _step(_EQUAL, number, 0, 3), _step(_LOAD, 16 + 8 * argument),
        _step(test, value, 1, 0), _step(_RETURN, _EPERM),
    ]  # fmt: skip


def _unless_null(number: int, argument: int) -> list[bytes]:
    """Refuse a call unless one of its arguments, a pointer, is null in both halves."""
    low = 16 + 8 * argument
    return [
        _step(_LOAD, _NUMBER), _step(_EQUAL, number, 0, 5),
        _step(_LOAD, low), _step(_EQUAL, 0, 0, 2),
        _step(_LOAD, low + 4), _step(_EQUAL, 0, 1, 0),
        _step(_RETURN, _EPERM),
    ]  # fmt: skip


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
