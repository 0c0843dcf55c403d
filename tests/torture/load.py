# SPDX-License-Identifier: MIT OR Apache-2.0
"""Registrations of many modules at a daemon, and a look at what it kept of them."""

import json
import os
import random
import socket
import sqlite3
import struct
import threading
import uuid

from common import PATIENCE_S, Process, parse, program

THREADS = 4
JSON = 1
AHEAD = 8

# From so many on as many leave as come: each round looks at all of them.
ENOUGH = 3000


def parse_times(description, count, count_long):
    """Of a script that does something arguments.count times. Prints the seed, and uses it."""
    arguments = parse(description, seed=int.from_bytes(os.urandom(4)), count=0, longest=0.2)
    arguments.count = arguments.count or (count_long if arguments.long else count)
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    return arguments


class Peer:
    """A connection in JSON, with the requests and replies of the Rust SDK."""

    def __init__(self, url):
        host, port = url.removeprefix("tcp://").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def send(self, contents):
        frames = b""
        for content in contents:
            request = str(uuid.uuid4())
            payload = json.dumps({"id": request, "content": content, "metadata": {"id": request}}).encode()
            frames += struct.pack(">IB", len(payload), JSON) + payload
        self.socket.sendall(frames)

    def receive(self):
        header = self.file.read(5)
        if len(header) < 5:
            raise ConnectionError("closed")
        size = struct.unpack(">IB", header)[0]
        payload = self.file.read(size)
        if len(payload) < size:
            raise ConnectionError("closed")
        return json.loads(payload)

    def ask(self, contents):
        self.send(contents)
        for content in contents:
            yield content, self.receive()

    def close(self):
        self.socket.close()


class Ledger:
    """What was acknowledged, and what turned out to be amiss.

    known: name -> what was acknowledged. doubtful: names that may be there or not, since what was asked
    last for them has no answer. Of what is amiss each name counts once."""

    def __init__(self):
        self.known = {}
        self.doubtful = set()
        self.lost = set()
        self.twice = set()
        self.wrong = set()

    def certain(self):
        return [name for name in self.known if name not in self.doubtful]

    def report(self, figures):
        figures.add("modules that were acknowledged, and lost", len(self.lost), at_most=0, must=True)
        figures.add("names that are there twice", len(self.twice), at_most=0, must=True)
        figures.add("modules that are not as they were acknowledged", len(self.wrong), at_most=0,
                    must=True)


class Late(Exception):
    """A reply that does not count any more."""


class Load(threading.Thread):
    """Registers new modules; advertises, registers again and unregisters some; notes in a ledger what is
    answered.

    Once `broken` is set, which is before something breaks, it ends with the next answer, whatever that
    is: nothing would have been answered then."""

    def __init__(self, url, number, ledger):
        super().__init__(daemon=True)
        self.url = url
        self.number = number
        self.known = ledger.known
        self.doubtful = ledger.doubtful
        self.count = 0
        self.answered = 0
        self.broken = False
        self.failure = None

    def run(self):
        try:
            self.work()
        except OSError:
            pass
        except Late:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def call(self, peer, names, contents, doubtful=False):
        if doubtful:
            self.doubtful.update(names)
        for name, (_, reply) in zip(names, peer.ask(contents)):
            if self.broken:
                raise Late
            if not reply["success"]:
                raise AssertionError(f"{name}: {reply}")
            self.answered += 1
            yield name, reply
            self.doubtful.discard(name)

    def named(self, name, request_type, **more):
        module = self.known[name]
        return {"request_type": request_type, "module_id": module["id"], "token": module["token"],
                **more}

    def register(self, name, **more):
        return {"request_type": "register", **more, "module_info": {
            "name": name, "version": "1", "description": ""}}

    def work(self):
        peer = Peer(self.url)
        while True:
            names = [f"{self.number}-{self.count + i}" for i in range(AHEAD)]
            self.count += AHEAD
            for name, reply in self.call(peer, names, [self.register(n) for n in names], True):
                module = reply["module"]
                self.known[name] = {"id": module["id"], "token": module["token"], "generation": 1,
                                    "advertised": False}
            some = names[:2]
            for name, _ in self.call(peer, some, [self.named(
                    n, "capabilities", capabilities={"endpoints": [], "message_types": [n]})
                    for n in some]):
                self.known[name]["advertised"] = True
            some = names[1:4]
            for name, reply in self.call(peer, some, [self.register(
                    n, token=self.known[n]["token"]) for n in some]):
                self.known[name]["generation"] = reply["module"]["additional_data"]["generation"]
                assert reply["module"]["id"] == self.known[name]["id"]
                assert self.known[name]["generation"] == 2
            some = names[4:6] if len(self.known) < ENOUGH else names
            for name, _ in self.call(peer, some, [self.named(n, "unregister") for n in some], True):
                del self.known[name]


def begin(store, *options):
    return Process([program("tools", "pywatt-orchestrator"), "--listen", "tcp://127.0.0.1:0",
                    "--store", f"sqlite:{store}", "--log-level", "error", "--lease", "1h", *options])


def start(store, *options):
    process = begin(store, *options)
    url = process.wait_line(r"^listening (\S+)$", patience_s=PATIENCE_S * 3).group(1)
    return process, url


class Loads:
    """Several at once."""

    def __init__(self, url, number, ledger):
        self.all = [Load(url, f"{number}-{i}", ledger) for i in range(THREADS)]
        for load in self.all:
            load.start()

    def will_break(self):
        for load in self.all:
            load.broken = True

    def end(self):
        """When the daemon is gone. How many changes were acknowledged."""
        for load in self.all:
            load.join(PATIENCE_S)
            assert not load.is_alive()
            if load.failure is not None:
                raise load.failure
        return sum(load.answered for load in self.all)


def is_as_acknowledged(known, row):
    name, module_id, info, capabilities, generation = row
    return (name in known and module_id == known[name]["id"] and json.loads(info)["name"] == name and
            generation >= known[name]["generation"] and
            (not known[name]["advertised"] or json.loads(capabilities)["message_types"] == [name]))


def check_file(store, ledger):
    """What anybody sees in the file while the daemon runs. How many modules there are."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT name, id, info, capabilities, generation FROM modules").fetchall()
    database.close()
    there = set()
    for row in rows:
        name = row[0]
        if name in there:
            ledger.twice.add(name)
        there.add(name)
        if name in ledger.known:
            right = is_as_acknowledged(ledger.known, row)
        else:
            right = name in ledger.doubtful
        if not right:
            ledger.wrong.add(name)
    ledger.lost.update(name for name in ledger.certain() if name not in there)
    return len(rows)


def beat_of(module, token):
    return {"request_type": "heartbeat", "module_id": module["id"], "token": token, "status": "Healthy"}


def check_tokens(url, ledger):
    """Their tokens are good, and one that is wrong is not."""
    peer = Peer(url)
    sample = [name for name in ledger.certain() if name not in ledger.lost]
    sample = random.sample(sample, min(len(sample), 200))
    modules = [ledger.known[name] for name in sample]
    replies = peer.ask([beat_of(module, module["token"]) for module in modules])
    ledger.wrong.update(name for name, (_, reply) in zip(sample, replies) if not reply["success"])
    replies = peer.ask([beat_of(module, module["token"][::-1]) for module in modules[:1]])
    ledger.wrong.update(name for name, (_, reply) in zip(sample, replies) if reply["success"])
    peer.close()


def check(store, ledger):
    """Starts a daemon, and looks at all. What it keeps is written down, and nothing else is asserted."""
    process, url = start(store)
    try:
        check_file(store, ledger)
        check_tokens(url, ledger)
    finally:
        process.end()
