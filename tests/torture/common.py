# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the torture scripts share: a daemon whose events are followed, modules that beat, figures.

A figure is a JSON object on a line of its own: item, metric, value, unit, and what it must be at most
or at least. With --long a figure that misses its bar ends the script with 1, and one that must be met does so
always. A short run is a test, and asserts on nothing that a slow machine changes. Where the machine itself stood still for too long a
short case is tried again: what it shows then is the machine's.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from support import FACTOR, OPTIONS, PATIENCE_S, Process, program  # noqa: E402, F401

EVENT = re.compile(r"^(\S+)Z \S+ (registered|reregistered|advertised|health|liveness|unregistered|forgotten)"
                   r" (\S+) id=(\S+) health=\S+ liveness=(\S+) generation=(\d+)$")


def parse(description, **more):
    """The options of every script; `more` are the defaults of others, by name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--long", action="store_true", help="for as long as scripts/torture wants it")
    for name, value in more.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    arguments = parser.parse_args()
    OPTIONS.build = os.path.abspath(arguments.build)
    return arguments


class Figures:
    """Prints figures, and knows whether one missed its bar."""

    def __init__(self, item, judge):
        self.item = item
        self.judge = judge
        self.missed = []

    def add(self, metric, value, unit="", at_most=None, at_least=None, must=False):
        figure = {"item": self.item, "metric": metric, "value": value, "unit": unit}
        if at_most is not None:
            figure.update(at_most=at_most, met=value <= at_most)
        if at_least is not None:
            figure.update(at_least=at_least, met=value >= at_least)
        if not figure.get("met", True) and (must or self.judge):
            self.missed.append(metric)
        print(json.dumps(figure), flush=True)

    def finish(self):
        if self.missed:
            sys.exit(f"{self.item}: missed: {', '.join(self.missed)}")


class Machine(threading.Thread):
    """Measures for how long this process was not run although it was to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest_s = 0.0
        self.start()

    def run(self):
        while True:
            before = time.monotonic()
            time.sleep(0.02)
            self.longest_s = max(self.longest_s, time.monotonic() - before - 0.02)


def steady(case, limit_s, tries=2):
    """Runs case(); if it fails while the machine stood still for `limit_s`, again."""
    machine = Machine()
    for left in range(tries - 1, -1, -1):
        machine.longest_s = 0.0
        try:
            return case()
        except AssertionError:
            if left == 0 or machine.longest_s < limit_s:
                raise
            print(f"the machine stood still for {machine.longest_s:.2f} s: again", flush=True)


class Daemon:
    """An orchestrator, and what it says of its modules."""

    def __init__(self, *options, ports=1, store="memory", **more):
        self.process = Process([program("tools", "pywatt-orchestrator"), "--log-events", "--store", store,
                                *["--listen", "tcp://127.0.0.1:0"] * ports, *map(str, options)], **more)
        self.urls = [self.process.wait_line(r"^listening (\S+)$", patience_s=PATIENCE_S * 3).group(1)
                     for _ in range(ports)]
        self.url = self.urls[0]
        self.pid = self.process.child.pid

    def events(self, kind=None, liveness=None, since=0):
        """(time of day, kind, name, id, liveness, generation) of those that have come."""
        found = []
        for line in self.process.lines["stderr"][since:]:
            match = EVENT.match(line)
            if match and kind in (None, match[2]) and liveness in (None, match[5]):
                found.append(match.groups())
        return found

    def mark(self):
        """For `since`."""
        return len(self.process.lines["stderr"])

    def lost(self, prefix="", since=0):
        """Names of those that were declared lost, and when: the last time of each."""
        return {event[2]: datetime.datetime.fromisoformat(event[0] + "+00:00").timestamp()
                for event in self.events("liveness", "lost", since) if event[2].startswith(prefix)}

    def alive(self, prefix=""):
        """How many modules are alive by the last that was said of each."""
        last = {event[2]: event[4] for event in self.events() if event[2].startswith(prefix)}
        return sum(liveness == "alive" for liveness in last.values())

    def registered_once(self, prefix=""):
        """Each module was registered under one id, and never anew."""
        ids = {}
        for _, kind, name, module_id, _, _ in self.events():
            if name.startswith(prefix):
                ids.setdefault(name, set()).add(module_id)
                assert kind not in ("reregistered", "unregistered", "forgotten"), f"{name}: {kind}"
        names = [event[2] for event in self.events("registered") if event[2].startswith(prefix)]
        assert len(names) == len(set(names)), "a module was registered twice"
        several = [name for name, found in ids.items() if len(found) != 1]
        assert not several, f"more than one id: {several[:3]}"
        return len(names)

    def cpu_s(self):
        return cpu_s(self.pid)

    def log_bytes(self):
        return sum(len(line) + 1 for line in self.process.lines["stderr"])

    def end(self):
        self.process.end()


class Fleet:
    """Modules that beat in a process of their own: fleet.c."""

    def __init__(self, url, name, clients=50, modules=10, interval_ms=1000, lease_ms=5000,
                 timeout_ms=30000, codec="protobuf", join_token=None, **more):
        self.count = clients * modules
        self.process = Process(
            [program("tests/torture", "torture_fleet"), url, codec, *map(str, (
                clients, modules, interval_ms, lease_ms, timeout_ms)), name,
             *([join_token] if join_token else [])],
            stdin=subprocess.PIPE, **more)
        self.process.wait_line(r"^ready$", patience_s=PATIENCE_S * 6)
        self.pid = self.process.child.pid

    def ask(self, command):
        self.process.child.stdin.write(command + "\n")
        self.process.child.stdin.flush()
        return self.process.wait_line(r"^(?!ready$)").string

    def stats(self):
        return json.loads(self.ask("stats"))

    def ids(self):
        return self.ask("ids")

    def end(self):
        self.process.end()


def cpu_s(pid):
    """Processor seconds that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(what, true, patience_s=PATIENCE_S):
    """Asks 20 times a second; an assertion fails if it never is."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"it never came to that: {what}"
        time.sleep(0.05)


def wait_beats(fleet, patience_s=PATIENCE_S):
    """Until beats were answered twice as often again as there are modules."""
    wanted = fleet.stats()["answered"] + 2 * fleet.count
    wait_until("beats of all are answered", lambda: fleet.stats()["answered"] >= wanted, patience_s)


def measure(fleet, seconds):
    """What the beats of so many seconds took: what Fleet.stats() says, with what was skipped of them."""
    before = fleet.stats()
    time.sleep(seconds)
    stats = fleet.stats()
    assert stats["times"] > fleet.count * seconds / 2, stats
    return {**stats, "skipped": stats["skipped"] - before["skipped"]}


def in_turns(rounds, **conditions):
    """Calls each once a round, in another order each time, so that what the machine does meanwhile meets
    all alike. The lists of what they returned, by name."""
    found = {name: [] for name in conditions}
    names = list(conditions)
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            found[name].append(conditions[name]())
        names.append(names.pop(0))
    return found


def add_times(figures, what, found):
    """What in_turns() found, each as measure() has it."""
    for name, each in found.items():
        for metric in ("p50_us", "p99_us"):
            figures.add(f"{what}: beats {name.replace('_', ' ')}: {metric[:3]}",
                        round(statistics.median(stats[metric] for stats in each), 1), "us")


def add_ratio(figures, what, above, below, at_most=None):
    """Two conditions, round by round: the median of the ratios of p99 is the figure. Beside it, how far
    they lie apart, which says what it is worth, and the same of the median, which others disturb less."""
    for metric, bar in (("p50_us", None), ("p99_us", at_most)):
        ratios = sorted(a[metric] / b[metric] for a, b in zip(above, below))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        figures.add(f"{what}, {metric[:3]}: quarters of {len(ratios)} rounds",
                    f"{low:.3f} to {high:.3f}")
        figures.add(f"{what}, {metric[:3]}", round(statistics.median(ratios), 3), at_most=bar)


class Running:
    """Ends what was started in a `with`, the last first."""

    def __init__(self):
        self.things = []

    def __enter__(self):
        return self

    def start(self, thing):
        self.things.append(thing)
        return thing

    def __exit__(self, *_):
        for thing in reversed(self.things):
            thing.end()


def folder():
    return tempfile.TemporaryDirectory(prefix="pywatt-torture-")


def skip(case, why):
    """As cmocka says it, so that scripts/test names it."""
    print(f"[  SKIPPED ] {case}\n{case}: {why}", flush=True)


def passed(case):
    print(f"[       OK ] {case}", flush=True)


def in_namespace():
    """Goes on in a network of its own, as root there; False if that cannot be had."""
    if os.environ.get("PYWATT_TORTURE_INSIDE"):
        subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
        return True
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        trial = command + ["sh", "-c", "ip link set lo up && nft add table inet trial &&"
                           " tc qdisc add dev lo root tbf rate 1mbit burst 32kbit latency 400ms"]
        if all(map(shutil.which, ("unshare", "ip", "nft", "tc"))) and subprocess.run(
                trial, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            os.environ["PYWATT_TORTURE_INSIDE"] = "1"
            sys.stdout.flush()
            os.execvp(command[0], command + [sys.executable, *sys.argv])
    return False


def port_of(url):
    return int(url.rsplit(":", 1)[1])


class Network:
    """What happens to packets of a port in this namespace. One fault at a time."""

    def __init__(self, url):
        self.port = port_of(url)
        self.run("nft", "delete table inet torture", check=False)
        self.run("nft", "add table inet torture")
        self.run("nft", "add chain inet torture in { type filter hook input priority 0 ; }")

    @staticmethod
    def run(name, text, check=True):
        subprocess.run([name, *text.split()], check=check,
                       stderr=None if check else subprocess.DEVNULL)

    def rule(self, text):
        for direction in ("dport", "sport"):
            self.run("nft", f"add rule inet torture in tcp {direction} {self.port} {text}")

    def cut(self):
        self.rule("drop")

    def lose(self, percent):
        self.rule(f"numgen random mod 100 < {percent} drop")

    def reset(self, percent):
        """Towards the daemon only: each such packet ends its connection on the side of the client."""
        self.run("nft", f"add rule inet torture in tcp dport {self.port} numgen random mod 1000"
                 f" < {percent * 10:.0f} reject with tcp reset")

    def connections(self):
        """The ports of the peers whose connections to the port stand, as the daemon's side sees it."""
        output = subprocess.run(["ss", "-Htn", "state", "established", "sport", "=", f":{self.port}"],
                                check=True, capture_output=True, text=True).stdout
        return [line.split()[3].rsplit(":", 1)[1] for line in output.splitlines()]

    def forget(self):
        """Connections that stand carry nothing any more, in either direction; new ones do."""
        peers = ", ".join(self.connections())
        self.run("nft", f"add rule inet torture in tcp sport {self.port} tcp dport {{ {peers} }} drop")
        self.run("nft", f"add rule inet torture in tcp dport {self.port} tcp sport {{ {peers} }} drop")

    def slow(self, rate):
        self.run("tc", f"qdisc add dev lo root tbf rate {rate} burst 8kb latency 400ms")

    def heal(self):
        self.run("nft", "flush chain inet torture in")
        self.run("tc", "qdisc del dev lo root", check=False)
