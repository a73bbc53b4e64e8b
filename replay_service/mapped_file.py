"""Mapped files: arrays in .npy files whose room on the disk is taken before anything is stored in them."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import math
import os
import shutil
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

logger = logging.getLogger(__name__)

_CANNOT_ALLOCATE = {
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EINVAL,
}  # a file system that takes no room in advance


def map_file(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap:
    """Map a file as it was left, or a new one of zeros.

    Raises:
        ValueError: the file holds another shape or dtype, or does not fit on the disk.
    """
    found = _opened(path, shape, dtype)
    return _created(path, shape, dtype) if found is None else found


def _opened(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap | None:
    """Map a file as it was left; None if there is none, or only the stump of one."""
    try:
        with path.open("r+b") as file:
            _mend_header(file, shape, np.dtype(dtype))
            found, size_bytes = _read_header(file)
            if found != (shape, np.dtype(dtype)):
                raise ValueError(
                    f"{path} must hold {np.dtype(dtype)}{list(shape)}, "
                    f"got {found[1]}{list(found[0])}; "
                    f"resume with the configuration that wrote it, or start a new run"
                )
            _take_room(file, size_bytes)  # of a version that did not, or of a copy that was cut short
    except FileNotFoundError:
        return None
    except EOFError:
        logger.warning("%s is cut short or overwritten; what it held is lost", path)
        return None
    return np.lib.format.open_memmap(path, mode="r+")


def _created(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap:
    # not atomic_file: the mapping must outlive the block, and what a kill leaves here, perhaps gigabytes,
    # is overwritten by the next start as its name does not hold the process
    partial = path.with_suffix(".partial")
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    _check_room(path, size_bytes)
    try:
        mapped = np.lib.format.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=shape)
        with partial.open("r+b") as file:
            _take_room(file, partial.stat().st_size)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    partial.rename(path)
    return mapped


def _mend_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Write the header of a file anew if it alone is damaged: the size is that of the array, which is still there."""
    expected = io.BytesIO()
    written = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(expected, written)
    header, size_bytes = expected.getvalue(), expected.tell() + math.prod(shape) * dtype.itemsize
    if os.fstat(file.fileno()).st_size == size_bytes and file.read(len(header)) != header:
        logger.warning("the header of %s is damaged and is written anew", file.name)
        file.seek(0)
        file.write(header)
    file.seek(0)


def _read_header(file: IO[bytes]) -> tuple[tuple[tuple[int, ...], np.dtype], int]:
    """Return shape and dtype of a .npy file and the size that it must have; EOFError if it has no header."""
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except (ValueError, OSError):
        raise EOFError from None
    return (shape, dtype), file.tell() + math.prod(shape) * dtype.itemsize


def _take_room(file: IO[bytes], size_bytes: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _too_large(Path(file.name), size_bytes) from None
        if error.errno not in _CANNOT_ALLOCATE:
            raise
        file.truncate(max(size_bytes, os.fstat(file.fileno()).st_size))


def _check_room(path: Path, size_bytes: int) -> None:
    """Refuse what cannot fit before any of it is taken."""
    if size_bytes > shutil.disk_usage(path.parent).free:
        raise _too_large(path, size_bytes)


def _too_large(path: Path, size_bytes: int) -> ValueError:
    free_bytes = shutil.disk_usage(path.parent).free
    return ValueError(
        f"replay files must fit on the disk, got {size_bytes / 1e9:.1f} GB for {path} "
        f"with {free_bytes / 1e9:.1f} GB free; lower replay.capacity_per_task or use replay.storage=memory"
    )
