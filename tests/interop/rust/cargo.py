# SPDX-License-Identifier: MIT OR Apache-2.0
"""Builds the programs of this folder with cargo, below the build folder; or says why they cannot be had.

What comes from the registry is fetched first, and that alone may fail without failing the test: a
machine without cargo or a network skips, a program that does not compile fails. Nothing is waited for
without end.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))
from support import OPTIONS, PATIENCE_S, die_with_the_test, main  # noqa: E402

SKIPPED = 77
FETCH_S = 120
BUILD_S = 1500


class Missing(Exception):
    """Something that the test needs and that is not its subject is not there."""


def find(name):
    home = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    path = shutil.which(name) or shutil.which(name, path=str(home / "bin"))
    if path is None:
        raise Missing(f"{name} is not there")
    return path


def run(arguments, patience_s):
    """The exit code, None if it took too long, and what it printed. Its children end with it."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target_folder()), "CARGO_TERM_COLOR": "never",
                   "CARGO_HTTP_TIMEOUT": "20", "CARGO_NET_RETRY": "1",
                   "PATH": f"{pathlib.Path(arguments[0]).parent}:{os.environ['PATH']}"}
    child = subprocess.Popen(arguments, cwd=HERE, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", start_new_session=True, preexec_fn=die_with_the_test)
    try:
        text, _ = child.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        text, _ = child.communicate()
        return None, text
    return child.returncode, text


def target_folder():
    return pathlib.Path(OPTIONS.build) / "tests" / "interop" / "cargo"


def version(text):
    return tuple(int(number) for number in text.split("."))


def check_version(name):
    """The path of the program, which must run and be new enough."""
    with open(HERE / "Cargo.toml", "rb") as file:
        needed = tomllib.load(file)["package"]["rust-version"]
    path = find(name)
    _, text = run([path, "--version"], PATIENCE_S)
    found = re.search(rf"^{name} (\d+(?:\.\d+)+)", text, re.MULTILINE)
    if not found:
        raise Missing(f"{name} does not run: {' '.join(text.split())[:200]}")
    if version(found.group(1)) < version(needed):
        raise Missing(f"{name} {found.group(1)} is older than {needed}")
    return path


def fetch(cargo, host):
    arguments = [cargo, "fetch", "--locked", "--target", host]
    if run([*arguments, "--offline"], FETCH_S)[0] == 0:
        return
    code, text = run(arguments, FETCH_S)
    if code is None:
        raise Missing(f"the packages did not come within {FETCH_S} s")
    # That is about our own files, wherever they are.
    if code != 0 and ("--locked" in text or "failed to parse" in text):
        sys.exit(text)
    if code != 0:
        raise Missing(f"the registry cannot be reached: {' '.join(text.split())[-300:]}")


def build():
    """The folder with the programs."""
    rustc = check_version("rustc")
    cargo = check_version("cargo")
    host = re.search(r"^host: (\S+)$", run([rustc, "-vV"], PATIENCE_S)[1], re.MULTILINE).group(1)
    fetch(cargo, host)
    code, text = run([cargo, "build", "--offline", "--locked"], BUILD_S)
    print(text, flush=True)
    if code != 0:
        sys.exit("the programs do not build" if code else f"it took more than {BUILD_S} s")
    return target_folder() / "debug"


PROGRAMS = {}


def sdk_program(name):
    return str(PROGRAMS["folder"] / name)


def main_with_programs():
    """What main() of support.py does, with the programs there; or the code that says skipped."""
    def prepare():
        try:
            PROGRAMS["folder"] = build()
        except Missing as missing:
            print(f"[  SKIPPED ] {os.environ.get('PYWATT_TEST_NAME', 'this')}: {missing}", flush=True)
            sys.exit(SKIPPED)
    main(prepare)
