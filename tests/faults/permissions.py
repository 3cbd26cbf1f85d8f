"""Folders that cannot be written: permissions that hold for root too."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_OVERRIDE = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Nothing can be made, written or removed in some folders and in all below them.

    Root is above permissions by two capabilities, which this thread lays down for as long.
    """
    below = [path for folder in folders for path in [folder, *folder.rglob("*")]]
    changed = {path: path.stat().st_mode & 0o7777 for path in below if not path.is_symlink()}
    before = _effective() if os.geteuid() == 0 else None
    try:
        for path, mode in changed.items():
            path.chmod(mode & ~0o222)
        if before is not None:
            _set_effective(before & ~_OVERRIDE)
        yield
    finally:
        if before is not None:
            _set_effective(before)
        for path, mode in changed.items():
            if path.exists():
                path.chmod(mode)


def _effective() -> int:
    return int(_capabilities()[0])


def _set_effective(bits: int) -> None:
    data = _capabilities()
    data[0] = bits
    if ctypes.CDLL(None).capset(_header(), data):
        pytest.skip("root cannot lay its capabilities down here, so nothing is read-only for it")


def _capabilities() -> "ctypes.Array[ctypes.c_uint32]":
    """Effective, permitted, inheritable of this thread: the low bits, then the high ones."""
    libc, data = ctypes.CDLL(None), (ctypes.c_uint32 * 6)()
    if not hasattr(libc, "capget") or libc.capget(_header(), data):
        pytest.skip("root has no capabilities to lay down here, so nothing is read-only for it")
    return data


def _header() -> "ctypes.Array[ctypes.c_uint32]":
    return (ctypes.c_uint32 * 2)(_VERSION, 0)
