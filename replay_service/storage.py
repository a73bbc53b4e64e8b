"""Storage: named arrays, in memory or in memory-mapped .npy files that outlive a killed process."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from replay_service.atomic_file import write_text

LAYOUT_VERSION = 2


class Storage:
    """Hands out arrays that start as zeros and, with a directory, are found again with their last content.

    A store into a mapped array is in the kernel's page cache at once, so it survives SIGKILL, in program
    order; `flush` also brings it to the disk. Each file is a plain .npy file, which
    `numpy.load(file, mmap_mode="r")` reads from a dead run too. `layout.json` holds the version and the sizes.
    """

    def __init__(self, directory: Path | None, layout: dict[str, Any] | None = None) -> None:
        self._directory = directory
        self._maps: list[np.memmap] = []
        self._reserved_bytes = 0
        self._lock_file: int | None = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock(directory)
            try:
                self._check_layout(directory, {"version": LAYOUT_VERSION} | (layout or {}))
            except ValueError:
                self.close()
                raise

    @property
    def is_mapped(self) -> bool:
        """Whether the arrays are in files."""
        return self._directory is not None

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the array of this name: as it was left, or new and all zeros.

        Raises:
            ValueError: the file holds another shape or dtype, or does not fit on the disk.
        """
        if self._directory is None:
            return np.zeros(shape, dtype)
        path = self._directory / f"{name}.npy"
        if path.exists():
            mapped = np.lib.format.open_memmap(path, mode="r+")
            if mapped.shape != shape or mapped.dtype != np.dtype(dtype):
                raise ValueError(
                    f"{path} must hold {np.dtype(dtype)}{list(shape)}, "
                    f"got {mapped.dtype}{list(mapped.shape)}; "
                    f"resume with the configuration that wrote it, or start a new run"
                )
        else:
            self._check_room(self._directory, math.prod(shape) * np.dtype(dtype).itemsize)
            # not atomic_file: the mapping must outlive the block, and what a kill leaves here, perhaps gigabytes,
            # is overwritten by the next start as its name does not hold the process
            partial = path.with_suffix(".partial")
            mapped = np.lib.format.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=shape)
            partial.rename(path)
        self._maps.append(mapped)
        return mapped.view(np.ndarray)  # the memmap class slows down every index operation

    def flush(self) -> None:
        """Write everything to the disk; return when it is there."""
        for mapped in self._maps:
            mapped.flush()

    def close(self) -> None:
        """Release the directory for another process. Arrays handed out stay valid."""
        self._maps.clear()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _lock(self, directory: Path) -> None:
        self._lock_file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_file)
            self._lock_file = None
            raise ValueError(
                f"a replay directory must have one process, got a second one for {directory}; "
                f"end the run that uses it"
            ) from None

    def _check_room(self, directory: Path, size_bytes: int) -> None:
        """Refuse what cannot fit: new files are sparse, and a disk that fills up later kills the process."""
        self._reserved_bytes += size_bytes
        free_bytes = shutil.disk_usage(directory).free
        if self._reserved_bytes > free_bytes:
            raise ValueError(
                f"replay files must fit on the disk, got {self._reserved_bytes / 1e9:.1f} GB for {directory} "
                f"with {free_bytes / 1e9:.1f} GB free; lower replay.capacity_per_task or use "
                f"replay.storage=memory"
            )

    @staticmethod
    def _check_layout(directory: Path, layout: dict[str, Any]) -> None:
        path = directory / "layout.json"
        if path.exists():
            found = json.loads(path.read_text())
            for name in sorted(found.keys() | layout.keys()):
                if found.get(name) != layout.get(name):
                    raise ValueError(
                        f"{name} of {directory} must stay {found.get(name)}, got {layout.get(name)}; "
                        f"resume with the configuration that wrote it, or start a new run"
                    )
            return
        write_text(path, json.dumps(layout, indent=2) + "\n")
