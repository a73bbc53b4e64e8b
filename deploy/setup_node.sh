#!/usr/bin/env bash
# Sets up one node: the pinned Python, and in its own venv this checkout with the locked packages.
# Usage: setup_node.sh cpu|gpu|auto     auto: gpu where nvidia-smi lists one. With cpu torch comes without CUDA.
# Safe to run again; it needs no root, no compiler and no system package.
set -euo pipefail

# Ray compares the Python of all nodes to the patch, and no Linux image promises a patch version. This build
# (python-build-standalone) is one relocatable archive, the same bytes on every image, unpacked in seconds.
PYTHON_VERSION=3.11.13
PYTHON_RELEASE=20250702
PYTHON_SHA256=e04944e70637f9d82022c9a41ae31de306b0d5bbd3fb64b9eb3261b8b5e0b30c

SOURCE="$HOME/stars-dist"
PYTHON="$HOME/stars-dist-python-$PYTHON_VERSION"
VENV="$HOME/stars-dist-venv"

KIND="${1:-}"
case "$KIND" in
    cpu | gpu) ;;
    auto) if nvidia-smi --list-gpus 2>/dev/null | grep -q GPU; then KIND=gpu; else KIND=cpu; fi ;;
    *) echo "setup_node.sh takes cpu, gpu or auto, got '$KIND'" >&2; exit 2 ;;
esac
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "the pinned Python is built for Linux x86_64, got $(uname -sm); use an x86_64 instance type" >&2
    exit 2
fi
if [ ! -f "$SOURCE/pyproject.toml" ]; then
    echo "$SOURCE holds no checkout; run ray up from the root of the repository" >&2
    exit 2
fi

if [ ! -x "$PYTHON/bin/python3" ]; then
    ARCHIVE="cpython-$PYTHON_VERSION+$PYTHON_RELEASE-x86_64-unknown-linux-gnu-install_only.tar.gz"
    rm -rf "$PYTHON"
    DOWNLOAD="$(mktemp -d "$HOME/.stars-dist-XXXXXX")" # on the disk of $PYTHON, so that it appears there as a whole
    curl --fail --location --silent --show-error --retry 5 --output "$DOWNLOAD/python.tar.gz" \
        "https://github.com/astral-sh/python-build-standalone/releases/download/$PYTHON_RELEASE/$ARCHIVE"
    echo "$PYTHON_SHA256  $DOWNLOAD/python.tar.gz" | sha256sum --check --quiet
    tar -xzf "$DOWNLOAD/python.tar.gz" -C "$DOWNLOAD"
    mv "$DOWNLOAD/python" "$PYTHON"
    rm -r "$DOWNLOAD"
fi

if [ "$("$VENV/bin/python" --version 2>/dev/null)" != "Python $PYTHON_VERSION" ]; then
    "$PYTHON/bin/python3" -m venv --clear "$VENV"
fi
# setuptools would pack modules that have been deleted since the last installation out of its build directory.
rm -rf "$SOURCE/build"
PIP_INSTALL=("$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$SOURCE/constraints.txt")
if [ "$KIND" = cpu ]; then
    # Of the same version, 200 MB instead of several gigabytes of CUDA libraries, which no actor loads.
    TORCH="$(grep '^torch==' "$SOURCE/constraints.txt")"
    "${PIP_INSTALL[@]}" --index-url https://download.pytorch.org/whl/cpu --no-deps "$TORCH+cpu"
fi
"${PIP_INSTALL[@]}" "$SOURCE"

LINE="source $SOURCE/deploy/node_env.sh"
grep -qxF "$LINE" "$HOME/.bashrc" 2>/dev/null || echo "$LINE" >> "$HOME/.bashrc"
if [ -f "$HOME/.ray/auth_token" ]; then
    chmod 600 "$HOME/.ray/auth_token"
fi

# Fail here, with the reason on the screen, and not in the middle of a run.
"$VENV/bin/python" - "$KIND" <<'PYTHON'
import sys

import metaworld
import ray
import torch

import stars_dist

if sys.argv[1] == "gpu" and not torch.cuda.is_available():
    sys.exit(f"torch {torch.__version__} finds no GPU; compare its CUDA {torch.version.cuda} with nvidia-smi")
print(f"python {sys.version.split()[0]}, ray {ray.__version__}, torch {torch.__version__}: ready")
PYTHON
