# SPDX-License-Identifier: MIT OR Apache-2.0
"""Which files the checks look at: what git tracks, or, without git, all but the build folder."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def tracked_files():
    """Paths below ROOT, sorted, of the tracked files that exist."""
    try:
        # The clone may belong to another user than the one who runs the checks.
        done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT,
                              check=True, capture_output=True, text=True)
        names = [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
    if not names:
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return [path for path in map(pathlib.Path, sorted(names)) if (ROOT / path).is_file()]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def is_c(path):
    return path.suffix in (".c", ".h")


def shebang(path):
    with open(ROOT / path, "rb") as file:
        line = file.readline(200).decode("utf-8", errors="replace")
    return line if line.startswith("#!") else ""
