"""A small disk for a server's data, which can be filled: a tmpfs that no other process sees.

May touch: the mounts of this process and of those that it starts, which end with them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

# <sched.h>, <sys/mount.h>
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
_PIECE_BYTES = 1_048_576


def own_mounts() -> None:
    """Give this process, and those that it starts from now on, mounts of their own, which disappear
    with the last of them.

    Must be called before any thread is started.  Raises OSError if that is not allowed.
    """
    if not sys.platform.startswith("linux"):
        raise OSError("mounts of a process's own are Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    _succeeded(libc.unshare(_CLONE_NEWNS))
    _succeeded(libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))


def _succeeded(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Disk:
    """A tmpfs of limited size, mounted over a data folder that nobody uses at the moment, with the
    folder's contents."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder = folder
        owner, before = folder.stat(), folder.with_name(f"{folder.name}.before")
        folder.rename(before)
        folder.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={size_bytes},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
        path = os.fsencode(folder)
        _succeeded(libc.mount(b"tmpfs", path, b"tmpfs", ctypes.c_ulong(0), options.encode()))
        for root, folders, files in os.walk(before):
            there = folder / Path(root).relative_to(before)
            for name in folders:
                (there / name).mkdir()
                _like(Path(root) / name, there / name)
            for name in files:
                shutil.copyfile(Path(root) / name, there / name)
                _like(Path(root) / name, there / name)
        shutil.rmtree(before)

    @property
    def _filler(self) -> Path:
        return self.folder / "chaos.filler"

    def fill(self) -> None:
        """Fill it to the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for piece in (_PIECE_BYTES, 4_096, 1):
                with suppress(OSError):
                    while file.write(bytes(piece)):
                        pass

    def free(self) -> None:
        """Free the filled space."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, with its contents."""
        _succeeded(ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(self.folder), 0))


def _like(one: Path, other: Path) -> None:
    """Copy the owner and rights of `one` to `other`."""
    status = one.stat()
    os.chown(other, status.st_uid, status.st_gid)
    other.chmod(status.st_mode & 0o7777)
