"""Checks of the software: Python, the locked packages, torch and the GPU, OpenGL, optional packages, Ray's token."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from stars_dist.doctor.check import Check, Verdict, passed
from stars_dist.rendering.gl_backend import remedy, try_backends

PROVEN = {"metaworld": "3.1.1", "mujoco": "3.3.0"}  # for which fast environments step as the library does
OPTIONAL = {"video": "imageio_ffmpeg", "export": "onnx", "sweep": "pyarrow"}
TORCH_TIMEOUT_S = 120.0
_TORCH = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"


def software_checks() -> Iterator[Check]:
    """Check what is installed; torch and OpenGL in processes of their own."""
    yield _python()
    yield from _pins()
    yield _metaworld()
    yield _torch()
    yield from _graphics()
    yield _optional()
    yield _token()


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info >= (3, 14):
        return Check(
            "python", Verdict.WARN, version, "use Python 3.11 to 3.13, for which Ray and torch are built"
        )
    return passed("python", version)


def _pins() -> Iterator[Check]:
    """Check what pyproject.toml pins to one version."""
    for requirement in metadata.requires("stars-dist") or []:
        pin = re.match(r"([\w.\-]+)(?:\[[\w,]+\])?==([\w.]+)$", requirement)
        if pin is None:
            continue
        name, wanted = pin[1], pin[2]
        fix = f"pip install '{name}=={wanted}'"
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(name, Verdict.FAIL, "not installed", fix)
            continue
        same = found.split("+")[0] == wanted
        yield (
            passed(name, found) if same else Check(name, Verdict.WARN, f"{found}, tested with {wanted}", fix)
        )


def _metaworld() -> Check:
    installed = {name: metadata.version(name) for name in PROVEN}
    if installed == PROVEN:
        return passed("fast environments", "proven for the installed Meta-World and MuJoCo")
    found = ", ".join(f"{name} {version}" for name, version in installed.items())
    wanted = " ".join(f"{name}=={version}" for name, version in PROVEN.items())
    return Check(
        "fast environments",
        Verdict.WARN,
        f"{found}: a step takes three times as long",
        f"pip install {wanted}",
    )


def _torch() -> Check:
    """Compare torch's build with the GPU that the driver lists."""
    gpus = _gpus()
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _TORCH],
            capture_output=True,
            text=True,
            timeout=TORCH_TIMEOUT_S,
            check=True,
        )
        version, cuda, available = asked.stdout.split()[-3:]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Check("GPU and torch", Verdict.FAIL, f"torch does not load ({error})", "reinstall it")
    if available == "True":
        return passed("GPU and torch", f"{', '.join(gpus) or 'a GPU'}; torch {version} for CUDA {cuda}")
    if not gpus:
        return passed("GPU and torch", f"no GPU; torch {version} learns on the CPU, use --preset laptop")
    found = f"{', '.join(gpus)}, and torch {version} cannot use it"
    fix = "pip install 'torch==2.13.0' from PyPI (a build with CUDA), or update the driver"
    return Check("GPU and torch", Verdict.WARN, found, fix)


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _graphics() -> Iterator[Check]:
    tried = try_backends()
    for backend in tried:
        if backend.failure is None:
            yield passed("OpenGL", f"{backend.name} draws, for pictures and videos")
            return
    faults = "; ".join(f"{backend.name}: {backend.failure}" for backend in tried)
    yield Check("OpenGL", Verdict.WARN, f"no pictures ({faults})", remedy())


def _optional() -> Check:
    missing = [extra for extra, module in OPTIONAL.items() if importlib.util.find_spec(module) is None]
    if not missing:
        return passed("extras", f"{', '.join(OPTIONAL)} are installed")
    fix = f"pip install 'stars-dist[{','.join(missing)}]' for what you want of them"
    return Check("extras", Verdict.WARN, f"not installed: {', '.join(missing)}", fix)


def _token() -> Check:
    mode = os.environ.get("RAY_AUTH_MODE", "")
    if mode == "disabled":
        return Check(
            "Ray's token",
            Verdict.WARN,
            "RAY_AUTH_MODE=disabled: whoever reaches the ports runs code",
            "unset it",
        )
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if "RAY_AUTH_TOKEN" in os.environ or token.is_file():
        return passed("Ray's token", "there is one; all nodes of a cluster need the same")
    return passed("Ray's token", "none yet; Ray makes one for a cluster of this machine")
