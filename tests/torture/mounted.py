# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests that mount a file system: in a mount namespace of their own, so that nobody else sees it, and
nothing is left of it."""

import ctypes
import os
import subprocess

CLONE_NEWNS = 0x00020000
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*arguments):
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def enter_namespace():
    """None, or why it cannot be had. Threads that exist already stay outside."""
    if os.geteuid() != 0:
        return "it needs root"
    if LIBC.unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    try:
        run("mount", "--make-rprivate", "/")
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def skip(name, why):
    """As cmocka says it: scripts/test names what was skipped."""
    print(f"{why}\n[  SKIPPED ] {name}")


def passed(name):
    print(f"[       OK ] {name}")
