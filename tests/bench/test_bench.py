#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""scripts/bench --quick: everything runs, every answer is right, and the report says what it should. A
peer that this machine does not have is named in it. No time is looked at."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from support import OPTIONS, PATIENCE_S, ROOT, Case, main, program  # noqa: E402

KEYS = {"subject", "metric", "value", "unit", "peer", "peer_value", "ratio", "bar", "bar_met", "runs"}
SUBJECTS = ["codec", "round-trip", "tls", "pipelined", "coalesced", "threads", "loop", "fleet", "scale",
            "connections", "registration", "store", "expiry"]
# Bars on what --quick has too little of.
NOT_IN_QUICK = {"cost of a beat, 1000000 modules"}


def has(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is not None


def bars():
    """(subject, metric, peer) of each line of the table of bars."""
    text = (ROOT / "bench/support/bars.c").read_text()
    return [(s, m, None if p == "NULL" else p.strip('"')) for s, m, p in
            re.findall(r'^ *\{"([^"]+)", "([^"]+)", (NULL|"[^"]+"),', text, re.MULTILINE)]


def fields(pid):
    """What stands behind the name in its stat: state, parent, ...; nothing once it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def children(pid):
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and fields(name)[1:2] == [str(pid)]]


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def environment(pid):
    return dict(entry.split("=", 1)
                for entry in pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0") if entry)


def runs(pid):
    """False once it is gone, or is only waited for by nobody."""
    return fields(pid)[:1] not in ([], ["Z"])


class Quick(Case):
    @classmethod
    def setUpClass(cls):
        cls.done = subprocess.run(
            [ROOT / "scripts/bench", "--quick", "--build", OPTIONS.build], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False)
        cls.out = pathlib.Path(OPTIONS.build) / "bench-out"
        cls.report = []
        if cls.done.returncode == 0:
            cls.report = json.loads((cls.out / "report.json").read_text())

    def test_ends_well_and_shows_no_bar_where_there_is_no_terminal(self):
        self.assertEqual(self.done.returncode, 0, self.done.stdout + self.done.stderr)
        self.assertEqual(self.done.stderr, "")

    def test_every_subject_is_in_the_report(self):
        self.assertEqual(list(dict.fromkeys(r["subject"] for r in self.report)), SUBJECTS)
        for result in self.report:
            self.assertLessEqual(KEYS, set(result), result)
            if "skipped" not in result:
                self.assertGreaterEqual(len(result["runs"]), 1, result)
                self.assertIsInstance(result["value"], (int, float))

    def test_every_bar_has_a_result(self):
        found = {(r["subject"], r["metric"], r["peer"]) for r in self.report if r["bar"]}
        wanted = {bar for bar in bars() if bar[1] not in NOT_IN_QUICK and bar[0] in SUBJECTS}
        self.assertGreater(len(wanted), 10)
        self.assertEqual(wanted - found, set())

    def test_peers_are_measured_or_named_as_skipped(self):
        of_round_trip = [r for r in self.report if r["subject"] == "round-trip"]
        for server, words in (("redis-server", "redis"), ("etcd", "etcd"), ("nats-server", "nats")):
            results = [r for r in of_round_trip if (r["peer"] or "").startswith(words)]
            self.assertEqual(len(results), 1, words)
            if "skipped" in results[0]:
                self.assertTrue(results[0]["skipped"])
            else:
                self.assertTrue(has(server))
                self.assertGreater(results[0]["peer_value"], 0)

    def test_the_table_has_a_row_for_each_result(self):
        rows = [line for line in (self.out / "report.md").read_text().split("\n")
                if line.startswith("| ")]
        self.assertEqual(len(rows), len(self.report) + 1)

    def test_plots_are_drawn(self):
        for name in ("latency", "batch", "scale", "lateness") if has("gnuplot") else ():
            for kind in ("svg", "png"):
                self.assertGreater((self.out / "plots" / f"{name}.{kind}").stat().st_size, 1000)


class Ends(Case):
    def started_by(self, script):
        """All processes below it."""
        below = children(script.child.pid)
        for pid in below:
            below += children(pid)
        return below

    def test_nothing_outlives_a_run_that_is_broken_off(self):
        os.symlink(os.path.join(OPTIONS.build, "bench"), self.path("bench"))
        for number in (signal.SIGINT, signal.SIGTERM):
            script = self.start(ROOT / "scripts/bench", "--build", self.folder, "--runs", "1000",
                                "threads")
            deadline = time.monotonic() + PATIENCE_S
            script.wait_line("==== threads")
            while not [pid for pid in self.started_by(script) if "orchestrator" in command(pid)]:
                self.assertLess(time.monotonic(), deadline, script.story())
            started = self.started_by(script)
            scratch = environment(started[0])["TMPDIR"]
            self.assertTrue(os.path.isdir(scratch))
            script.signal(number)
            self.assert_ends(script, 128 + number)
            while any(runs(pid) for pid in started):
                self.assertLess(time.monotonic(), deadline, started)
            self.assertFalse(os.path.exists(scratch))

    def test_a_peer_does_not_outlive_a_subject_that_is_killed(self):
        bench = self.start(program("bench", "bench_threads"), "--runs", "1000",
                           env={**os.environ, "TMPDIR": self.folder})
        deadline = time.monotonic() + PATIENCE_S
        while not children(bench.child.pid):
            self.assertLess(time.monotonic(), deadline, bench.story())
        servers = children(bench.child.pid)
        bench.child.kill()
        bench.child.wait()
        while any(runs(pid) for pid in servers):
            self.assertLess(time.monotonic(), deadline, servers)

    def test_a_missing_reply_ends_the_run(self):
        bench = self.start(program("bench", "bench_scale"))
        deadline = time.monotonic() + PATIENCE_S
        while len(children(bench.child.pid)) < 2:
            self.assertLess(time.monotonic(), deadline, bench.story())
        for orchestrator in children(bench.child.pid):
            os.kill(orchestrator, signal.SIGKILL)
        self.assert_ends(bench, 1)
        self.assertRegex(bench.text("stderr"), "closed the connection|process is gone|send: ")

    def test_a_wrong_reply_of_a_peer_ends_the_run(self):
        server = pathlib.Path(self.path("redis-server"))
        server.write_text(f"#!/bin/sh\nexec {sys.executable} {__file__} --serve-redis \"$@\"\n")
        server.chmod(0o755)
        bench = self.start(program("bench", "bench_round_trip"), "--quick",
                           env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}",
                                "TMPDIR": self.folder})
        self.assert_ends(bench, 1)
        self.assertIn("redis refused an EXPIRE", bench.text("stderr"))
        self.assertEqual(os.listdir(self.folder), ["redis-server"])

    def test_an_unknown_subject_is_refused(self):
        done = self.run_to_end(ROOT / "scripts/bench", "--quick", "swimming")
        self.assert_ends(done, 2)
        self.assertIn("swimming", done.text("stderr"))


def serve_redis():
    """A server on the port of the last argument that is friendly, but does not know any key."""
    answers = {b"PING": b"+PONG\r\n", b"SET": b"+OK\r\n", b"*3": b":0\r\n"}

    def serve(connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                words = line.split()
                if words and words[0] in answers:
                    connection.sendall(answers[words[0]])

    listener = socket.create_server(("127.0.0.1", int(sys.argv[-1])))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve-redis"]:
        serve_redis()
    main()
