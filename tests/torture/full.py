#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""full.py --build FOLDER [--long] [COUNT]: fills the disk under a daemon's store COUNT times (50 times), a
small tmpfs.

New registrations are refused then with an error that says so, modules that are known beat on, and once
there is room again registrations go well, with nobody doing anything for it. A new start finds all that
was acknowledged, and nothing else. Needs root. The last line is one of figures, in JSON.
"""

import errno
import json
import os
import tempfile
import time

from load import Peer, check_file, check_tokens, parse_arguments, start
from mounted import enter_namespace, passed, run, skip

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


def all_beat(peer, known):
    beats = [{"request_type": "heartbeat", "module_id": module["id"], "token": module["token"],
              "status": "Healthy"} for module in known.values()]
    for _, reply in peer.ask(beats):
        assert reply["success"], reply


def one_round(url, number, folder, known):
    """How many registrations were refused."""
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
    all_beat(peer, known)
    os.unlink(filler)
    reply = register(peer, f"later-{number}", known)
    assert reply["success"], reply
    all_beat(peer, known)
    for name in list(known)[:-20]:
        unregister(peer, name, known)
    peer.close()
    return refused


def torture(folder, count):
    known = {}
    refused = 0
    store = os.path.join(folder, "registrations.db")
    process, url = start(store)
    try:
        for number in range(count):
            refused += one_round(url, number, folder, known)
    finally:
        process.end()
    process, url = start(store)
    try:
        check_file(store, known, set())
        check_tokens(url, known, set())
    finally:
        process.end()
    return refused


def main():
    arguments = parse_arguments(__doc__, COUNT, COUNT_LONG)
    began = time.monotonic()
    why_not = enter_namespace()
    if why_not is not None:
        return skip(NAME, why_not)
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder)
        try:
            refused = torture(folder, arguments.count)
        finally:
            run("umount", "--lazy", folder)
    passed(NAME)
    print(json.dumps({"test": "full", "times": arguments.count, "refused": refused, "lost": 0,
                      "seconds": round(time.monotonic() - began, 1)}))
    return None


if __name__ == "__main__":
    main()
