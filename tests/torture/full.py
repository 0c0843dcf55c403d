#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""full.py --build FOLDER [--long] [--count N]: fills the disk under a daemon's store, a small tmpfs (--long: 50
times).

New registrations are refused then with an error that says so, modules that are known beat on, and once
there is room again registrations go well, with nobody doing anything for it. A new start finds all that
was acknowledged, and nothing else. Needs root.
"""

import errno
import os
import tempfile
import threading
import time

from common import FACTOR, Figures, passed, skip
from load import Ledger, Peer, beat_of, check, parse_times, start
from mounted import enter_namespace, run

NAME = "the_disk_is_full_for_a_while"
COUNT = 3
COUNT_LONG = 50
# The log alone may come to 32 MiB; on a disk that it fills there is no room to move it anywhere.
DISK_BYTES = 48 << 20
ATTEMPTS = 20000
# Of modules that beat all the time; the disk stays full for longer, once in the short form.
LEASE_S = 1.0 * FACTOR
FLEET = 20


class Fleet(threading.Thread):
    """Modules with short leases. `late` is the longest time between two of their beats."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.peer = Peer(url)
        self.known = {}
        self.late = 0.0
        self.without_beats = 0
        self.ended = threading.Event()
        self.failure = None
        for i in range(FLEET):
            reply = register(self.peer, f"fleet-{i}", self.known, lease_ms=str(int(LEASE_S * 1000)))
            assert reply["success"], reply
        self.start()

    def run(self):
        before = time.monotonic()
        try:
            while not self.ended.wait(LEASE_S / 10):
                self.without_beats += silent(self.peer, self.known)
                self.late = max(self.late, time.monotonic() - before)
                before = time.monotonic()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def stop(self, process):
        """How many were declared lost, unless they were too late themselves."""
        self.ended.set()
        self.join()
        self.peer.close()
        assert self.failure is None, self.failure
        lost = sum("liveness=lost" in line for line in process.lines["stderr"])
        if lost and self.late > LEASE_S / 2:
            print(f"beats were {self.late:.2f} s apart: leases say nothing", flush=True)
            return 0
        return lost


def fill(path):
    """All that is left of the disk."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error


def register(peer, name, known, **metadata):
    """The reply; notes what is acknowledged. Long, so that it takes new blocks soon."""
    content = {"request_type": "register", "module_info": {
        "name": name, "version": "1", "description": "d" * 900, "metadata": metadata}}
    reply = next(peer.ask([content]))[1]
    if reply["success"]:
        module = reply["module"]
        known[name] = {"id": module["id"], "token": module["token"], "generation": 1,
                       "advertised": False}
    return reply


def unregister(peer, name, known):
    content = {"request_type": "unregister", "module_id": known[name]["id"],
               "token": known[name]["token"]}
    reply = next(peer.ask([content]))[1]
    assert reply["success"], reply
    del known[name]


def silent(peer, known):
    """How many cannot beat."""
    beats = [beat_of(module, module["token"]) for module in known.values()]
    return sum(not reply["success"] for _, reply in peer.ask(beats))


def one_round(url, number, folder, known, full_s):
    """How many registrations were refused, and how many modules could not beat."""
    peer = Peer(url)
    filler = os.path.join(folder, "filler")
    for i in range(5):
        reply = register(peer, f"known-{number}-{i}", known)
        assert reply["success"], reply
    fill(filler)
    refused = 0
    for i in range(ATTEMPTS):
        reply = register(peer, f"more-{number}-{i}", known)
        if not reply["success"]:
            refused += 1
            assert "disk full" in reply["error"], reply
            if refused == 3:
                break
    assert refused == 3, "the disk does not fill"
    without_beats = silent(peer, known)
    time.sleep(full_s)
    os.unlink(filler)
    reply = register(peer, f"later-{number}", known)
    assert reply["success"], reply
    without_beats += silent(peer, known)
    for name in list(known)[:-20]:
        unregister(peer, name, known)
    peer.close()
    return refused, without_beats


def torture(folder, ledger, count, is_long):
    """Registrations that were refused, modules that could not beat, modules lost that beat."""
    refused = without_beats = 0
    store = os.path.join(folder, "registrations.db")
    process, url = start(store, "--log-events")
    try:
        fleet = Fleet(url)
        for number in range(count):
            full_s = 1.5 * LEASE_S if is_long or number == 0 else 0
            more = one_round(url, number, folder, ledger.known, full_s)
            refused += more[0]
            without_beats += more[1]
        lost = fleet.stop(process)
        ledger.known.update(fleet.known)
    finally:
        process.end()
    check(store, ledger)
    return refused, without_beats + fleet.without_beats, lost


def main():
    arguments = parse_times(__doc__, COUNT, COUNT_LONG)
    why_not = enter_namespace()
    if why_not is not None:
        return skip(NAME, why_not)
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder)
        try:
            refused, without_beats, lost = torture(folder, ledger, arguments.count, arguments.long)
        finally:
            run("umount", "--lazy", folder)
    figures = Figures("full", arguments.long)
    figures.add("times that the disk was full", arguments.count)
    figures.add("registrations refused for it", refused)
    ledger.report(figures)
    figures.add("beats that were refused meanwhile", without_beats, at_most=0, must=True)
    figures.add("modules that beat, and were lost", lost, at_most=0, must=True)
    figures.finish()
    return passed(NAME)


if __name__ == "__main__":
    main()
