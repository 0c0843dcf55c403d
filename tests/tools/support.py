# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of the programs share: starting programs, waiting for what they print.

Nothing here sleeps: each wait is for a line, an end or a connection, with a deadline that knows
under which tool the programs run. A program that a test leaves behind is killed at its end.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FACTOR = {"asan": 4, "tsan": 10, "memcheck": 25, "helgrind": 40}.get(
    os.environ.get("PYWATT_TEST_TOOL", ""), 1)
PATIENCE_S = 10 * FACTOR

# How programs of this build are started if the test runner says Valgrind. A start takes seconds then,
# so only tests that say @under_valgrind do it, and only the first of several similar cases.
VALGRIND = {
    "memcheck": ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
                 "--show-leak-kinds=definite,indirect,possible",
                 "--errors-for-leak-kinds=definite,indirect,possible"],
}.get(os.environ.get("PYWATT_TEST_VALGRIND", ""), [])

OPTIONS = argparse.Namespace(build=None)

# What a daemon keeps goes to a folder of the test, never to that of whoever runs it.
os.environ.pop("XDG_STATE_HOME", None)

# Nor is it configured by what whoever runs it has.
for variable in [name for name in os.environ if name.startswith("PYWATT_ORCHESTRATOR_")]:
    del os.environ[variable]
os.environ["PYWATT_ORCHESTRATOR_CONFIG"] = "/dev/null"


def program(folder, name):
    return str(pathlib.Path(OPTIONS.build) / folder / name)


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_the_test():
    """In a new process: it ends with us, even if we are killed because we took too long."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def under_valgrind(test):
    """Marks a test whose programs run under Valgrind where the runner asks for it."""
    test.under_valgrind = True
    return test


class Process:
    """A running program. Its output is read all the time, so that it never blocks on a pipe."""

    def __init__(self, arguments, **more):
        self.arguments = arguments
        self.lines = {"stdout": [], "stderr": []}
        self.at = {"stdout": 0, "stderr": 0}
        self.changed = threading.Condition()
        self.child = subprocess.Popen(
            arguments, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=die_with_the_test,
            **more)
        self.readers = [threading.Thread(target=self._read, args=(name,), daemon=True)
                        for name in self.lines]
        for reader in self.readers:
            reader.start()

    def _read(self, name):
        for line in getattr(self.child, name):
            with self.changed:
                self.lines[name].append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_line(self, pattern, stream="stdout", patience_s=PATIENCE_S):
        """The match of the next line in which `pattern` is found; lines before it are passed over."""
        deadline = time.monotonic() + patience_s
        with self.changed:
            while True:
                while self.at[stream] < len(self.lines[stream]):
                    line = self.lines[stream][self.at[stream]]
                    self.at[stream] += 1
                    match = re.search(pattern, line)
                    if match:
                        return match
                left = deadline - time.monotonic()
                ended = not any(reader.is_alive() for reader in self.readers)
                if left <= 0 or (ended and self.at[stream] == len(self.lines[stream])):
                    raise AssertionError(f"no line with {pattern!r} on {stream}; {self.story()}")
                self.changed.wait(min(left, 1))

    def wait_lines(self, *patterns, stream="stdout"):
        """Waits for a line for each pattern, in whatever order they come."""
        missing = list(patterns)
        while missing:
            found = self.wait_line("|".join(f"(?:{p})" for p in missing), stream).string
            missing.remove(next(p for p in missing if re.search(p, found)))

    def wait_end(self, patience_s=PATIENCE_S):
        """The exit code; all output has been read by then."""
        try:
            code = self.child.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended; {self.story()}") from None
        for reader in self.readers:
            reader.join(patience_s)
        return code

    def signal(self, number):
        self.child.send_signal(number)

    def end(self):
        """Kills what is left of it, and gives the pipes back."""
        if self.child.poll() is None:
            self.child.kill()
        self.wait_end()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            if stream:
                stream.close()

    def text(self, stream="stdout"):
        return "\n".join(self.lines[stream])

    def story(self):
        return (f"{' '.join(self.arguments)}\n--- code: {self.child.poll()}\n--- stdout:\n"
                f"{self.text()}\n--- stderr:\n{self.text('stderr')}")


class Case(unittest.TestCase):
    """A test with a folder of its own, and programs that end with it."""

    longMessage = True

    def setUp(self):
        test = getattr(self, self._testMethodName)
        self.valgrind = VALGRIND if getattr(test, "under_valgrind", False) else []
        self.folder = tempfile.mkdtemp(prefix="pywatt-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *arguments, **more):
        arguments = [str(a) for a in arguments]
        if pathlib.Path(arguments[0]).is_relative_to(OPTIONS.build):
            arguments = self.valgrind + arguments
        more["env"] = {"XDG_STATE_HOME": self.path("state-home"), **more.get("env", os.environ)}
        process = Process(arguments, **more)
        self.addCleanup(process.end)
        return process

    def some(self, cases):
        """All cases of a table, or, under Valgrind, the first."""
        cases = list(cases)
        return cases[:1] if self.valgrind else cases

    def run_to_end(self, *arguments, **more):
        process = self.start(*arguments, **more)
        process.wait_end()
        return process

    # ---- The orchestrator ----

    def start_orchestrator(self, *options, listen="tcp://127.0.0.1:0", store="memory", **more):
        """A daemon that is ready; its URLs are in `urls`, one for each `listen`. It forgets all, unless a
        store is named; None takes its own default."""
        listen = [listen] if isinstance(listen, str) else listen
        arguments = [program("tools", "pywatt-orchestrator"), "--log-events"]
        if store is not None:
            arguments += ["--store", store]
        for url in listen:
            arguments += ["--listen", url]
        daemon = self.start(*arguments, *options, **more)
        daemon.urls = [daemon.wait_line(r"^listening (\S+)$").group(1) for _ in listen]
        daemon.url = daemon.urls[0]
        return daemon

    def assert_ends(self, process, code, patience_s=PATIENCE_S):
        got = process.wait_end(patience_s)
        self.assertEqual(got, code, process.story())

    # ---- pywattctl ----

    def ctl(self, *arguments, code=0, **more):
        """Runs a command to its end, which must be with `code`."""
        process = self.run_to_end(program("tools", "pywattctl"), *arguments, **more)
        self.assert_ends(process, code)
        return process

    def ctl_json(self, *arguments, code=0):
        """The one object that a command prints with --json; stderr must be empty."""
        process = self.ctl(*arguments, "--json", code=code)
        self.assertEqual(len(process.lines["stdout"]), 1, process.story())
        self.assertEqual(process.text("stderr"), "", process.story())
        return json.loads(process.text())

    def start_run(self, *arguments):
        return self.start(program("tools", "pywattctl"), "run", *arguments)


class Peer:
    """A TCP listener on a free port whose connections are handed to `serve` on a thread."""

    def __init__(self, serve):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.socket.getsockname()[1]}"
        self.serve = serve
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.open:
            connection.close()


def closed_port():
    """A socket that holds a port on which nobody listens, and the URL of it."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, f"tcp://127.0.0.1:{holder.getsockname()[1]}"


def main(prepare=lambda: None):
    """Runs the tests of the script. `prepare` is called before them, when OPTIONS are known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("rest", nargs="*")
    OPTIONS.__dict__.update(vars(parser.parse_args()))
    prepare()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    unittest.main(module="__main__", argv=[sys.argv[0], *OPTIONS.rest], verbosity=2)
