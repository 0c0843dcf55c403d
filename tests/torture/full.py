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

from common import Figures, passed, skip
from load import Ledger, Peer, beat_of, check, parse_times, start
from mounted import enter_namespace, run

NAME = "the_disk_is_full_for_a_while"
COUNT = 3
COUNT_LONG = 50
# The log alone may come to 32 MiB; on a disk that it fills there is no room to move it anywhere.
DISK_BYTES = 48 << 20
ATTEMPTS = 20000


def fill(path):
    """All that is left of the disk."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error


def register(peer, name, known):
    """The reply; notes what is acknowledged. Long, so that it takes new blocks soon."""
    content = {"request_type": "register", "module_info": {
        "name": name, "version": "1", "description": "d" * 900}}
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


def one_round(url, number, folder, known):
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
    os.unlink(filler)
    reply = register(peer, f"later-{number}", known)
    assert reply["success"], reply
    without_beats += silent(peer, known)
    for name in list(known)[:-20]:
        unregister(peer, name, known)
    peer.close()
    return refused, without_beats


def torture(folder, ledger, count):
    refused = without_beats = 0
    store = os.path.join(folder, "registrations.db")
    process, url = start(store)
    try:
        for number in range(count):
            more = one_round(url, number, folder, ledger.known)
            refused += more[0]
            without_beats += more[1]
    finally:
        process.end()
    check(store, ledger)
    return refused, without_beats


def main():
    arguments = parse_times(__doc__, COUNT, COUNT_LONG)
    why_not = enter_namespace()
    if why_not is not None:
        return skip(NAME, why_not)
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder)
        try:
            refused, without_beats = torture(folder, ledger, arguments.count)
        finally:
            run("umount", "--lazy", folder)
    figures = Figures("full", arguments.long)
    figures.add("times that the disk was full", arguments.count)
    figures.add("registrations refused for it", refused)
    ledger.report(figures)
    figures.add("modules that did not beat meanwhile", without_beats, at_most=0, must=True)
    figures.finish()
    return passed(NAME)


if __name__ == "__main__":
    main()
