#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""pywattctl: each command over each codec and transport, what it prints, and how it ends."""

import json
import os
import signal
import socket
import stat
import struct
import threading

from support import Case, Peer, closed_port, main, program, under_valgrind

CODECS = ("json", "protobuf")
UNKNOWN_ID = "8a2f6d3e-5c1b-4f7a-9d0e-3b6c8e1f2a4d"


class Commands(Case):
    """The whole life of a module, command by command, in each combination."""

    def each_way(self):
        daemon = self.start_orchestrator(listen=["tcp://127.0.0.1:0", f"unix:{self.path('s')}"])
        for url, codec in self.some((url, codec) for codec in CODECS for url in daemon.urls):
            with self.subTest(url=url, codec=codec):
                yield daemon, ["--endpoint", url, "--codec", codec], url.split(":")[0] + codec

    def test_the_life_of_a_module_by_id_and_token(self):
        for daemon, way, name in self.each_way():
            module = self.ctl_json("register", "--name", name, "--version", "1.2", "--description",
                                   "A test", "--metadata", "site=north", *way)
            self.assertRegex(module["id"], "^[0-9a-f-]{36}$")
            self.assertEqual(module["name"], name)
            self.assertGreaterEqual(len(module["token"]), 43)
            self.assertEqual(module["orchestrator_host"], "127.0.0.1")
            self.assertGreater(module["lease_ms"], module["heartbeat_interval_ms"])
            self.assertEqual(module["generation"], 1)
            daemon.wait_line(f" registered {name} id={module['id']}", "stderr")

            who = ["--id", module["id"], "--token", module["token"], *way]
            for status in ("healthy", "degraded", "unhealthy"):
                beat = self.ctl_json("heartbeat", "--status", status, "--detail", "load=1", *who)
                self.assertEqual(beat, {"id": module["id"], "status": status.capitalize(),
                                        "verdict": status.capitalize()})
            daemon.wait_line(f" health {name} .* health=Unhealthy", "stderr")

            told = self.ctl_json("advertise", "--http", "GET,POST /items", "--http", "GET /",
                                 "--message-type", "resize", "--capability", "gpu=true",
                                 "--capability", 'limits={"max": [1, 2.5]}', *who)
            self.assertEqual(told, {"id": module["id"], "endpoints": 2, "message_types": 1,
                                    "additional_capabilities": 2})
            daemon.wait_line(f" advertised {name} ", "stderr")

            self.assertEqual(self.ctl_json("unregister", *who),
                             {"id": module["id"], "result": "unregistered"})
            daemon.wait_line(f" unregistered {name} ", "stderr")
            self.ctl("heartbeat", *who, code=5)

    @under_valgrind
    def test_the_life_of_a_module_by_state_file(self):
        for daemon, way, name in self.each_way():
            state = self.path(name)
            module = self.ctl_json("register", "--name", name, "--state", state, "--metadata",
                                   "site=north", *way)
            self.assertEqual(module["state_file"], state)
            self.assertEqual(stat.S_IMODE(os.stat(state).st_mode), 0o600)
            with open(state, encoding="utf-8") as file:
                kept = json.load(file)
            self.assertEqual({**kept, "format": 1},
                             {"format": 1, "endpoint": way[1], "codec": way[3], "id": module["id"],
                              "token": module["token"], "name": name, "version": "0",
                              "description": "", "metadata": {"site": "north"}})
            # Neither endpoint nor codec is said again.
            beat = self.ctl_json("heartbeat", "--state", state, "--status", "degraded")
            self.assertEqual(beat["verdict"], "Degraded")
            self.ctl("advertise", "--state", state, "--message-type", "x")
            self.ctl("unregister", "--state", state)
            self.assertFalse(os.path.exists(state))
            daemon.wait_line(f" unregistered {name} ", "stderr")

    def test_text_names_each_value(self):
        daemon = self.start_orchestrator()
        shown = self.ctl("register", "--name", "a", "--endpoint", daemon.url)
        values = dict(line.split(None, 1) for line in shown.lines["stdout"])
        self.assertEqual(values["name"], "a")
        for key in ("id", "token", "orchestrator_host", "orchestrator_port", "lease_ms",
                    "heartbeat_interval_ms", "generation"):
            self.assertIn(key, values)

    def test_a_module_may_choose_its_id(self):
        daemon = self.start_orchestrator()
        module = self.ctl_json("register", "--name", "a", "--id", UNKNOWN_ID, "--endpoint",
                               daemon.url)
        self.assertEqual(module["id"], UNKNOWN_ID)

    def test_goes_on_to_the_next_endpoint(self):
        daemon = self.start_orchestrator()
        holder, dead = closed_port()
        self.addCleanup(holder.close)
        self.ctl("register", "--name", "a", "--endpoint", f"{dead},{daemon.url}")

    def test_wait_tries_until_somebody_listens(self):
        url = f"unix:{self.path('s')}"
        waiting = self.start_ctl("register", "--name", "a", "--endpoint", url, "--wait",
                                 "--log-level", "debug")
        daemon = self.start_orchestrator(listen=url)
        daemon.wait_line(" registered a ", "stderr")
        self.assert_ends(waiting, 0)

    def start_ctl(self, *arguments):
        return self.start(program("tools", "pywattctl"), *arguments)

    @under_valgrind
    def test_capabilities_may_come_from_a_file(self):
        daemon = self.start_orchestrator()
        state = self.path("state")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        file = self.path("can.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"endpoints": [{"path": "/x", "methods": ["GET"], "auth": "Bearer",
                                      "metadata": {"k": "v"}},
                                     {"path": "/y", "methods": ["PUT"], "auth": None}],
                       "message_types": ["resize"], "additional_capabilities": {"gpu": [True]}},
                      out)
        told = self.ctl_json("advertise", "--state", state, "--file", file)
        self.assertEqual((told["endpoints"], told["message_types"],
                          told["additional_capabilities"]), (2, 1, 1))
        with open(file, encoding="utf-8") as input_file:
            self.ctl("advertise", "--state", state, "--file", "-", stdin=input_file)

    def advertised(self, text):
        """What `advertise --file` sends of a file with this text."""
        got = []

        def record(connection):
            (size,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
            got.append(connection.recv(1 + size, socket.MSG_WAITALL))
            connection.close()
        peer = Peer(record)
        self.addCleanup(peer.close)
        file = self.path("can.json")
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        self.ctl("advertise", "--id", UNKNOWN_ID, "--token", "t", "--endpoint", peer.url, "--file",
                 file, code=3)
        return got[0].decode()

    def test_values_in_a_file_arrive_as_they_are_spelled(self):
        for value in ("1.50", "1e400", "-0", "12345678901234567890.123456789", '"a\\u0000b"',
                      '"\\u0041"', '{"a":1,"a":2}', "[[],{}]"):
            with self.subTest(value=value):
                sent = self.advertised('{"additional_capabilities": {"k": %s, "l": null}}' % value)
                self.assertIn('"additional_capabilities":{"k":%s,"l":null}' % value, sent)

    def echo(self, got):
        """The URL of an orchestrator that keeps what comes, and registers whoever asks, with all that it was
        told in its reply, as those of the Rust SDK do."""
        def serve(connection):
            (size,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
            connection.recv(1)
            request = json.loads(connection.recv(size, socket.MSG_WAITALL))
            got.append(request["content"]["module_info"])
            reply = json.dumps({"response_type": "registration", "success": True, "module": {
                "info": {**got[-1], "id": UNKNOWN_ID}, "id": UNKNOWN_ID, "token": "t",
                "orchestrator_host": "127.0.0.1", "orchestrator_port": 1}}).encode()
            connection.sendall(struct.pack(">IB", len(reply), 1) + reply)
            connection.recv(1)
        peer = Peer(serve)
        self.addCleanup(peer.close)
        return peer.url

    def token_file(self, text):
        file = self.path("join")
        with open(file, "wb") as out:
            out.write(text)
        return file

    @under_valgrind
    def test_a_join_token_comes_from_a_file_and_is_sent_and_kept_nowhere(self):
        secret = "a-join-token-of-some-length"
        got = []
        url = self.echo(got)
        texts = [t % secret.encode() for t in (b"%s", b"%s\n", b"%s\r\n", b"%s\nanother\n")]
        for number, text in enumerate(self.some(texts)):
            state = self.path(f"state{number}")
            done = self.ctl("register", "--name", "a", "--metadata", "site=north", "--state", state,
                            "--join-token-file", self.token_file(text), "--endpoint", url)
            self.assertEqual(got[-1]["metadata"], {"site": "north", "join_token": secret})
            self.assertNotIn(secret, done.text() + done.text("stderr"))
            with open(state, encoding="utf-8") as file:
                kept = file.read()
            self.assertIn("north", kept)
            self.assertNotIn(secret, kept)

    def test_a_run_shows_its_join_token_also_when_it_registers_again(self):
        secret = "a-join-token-of-some-length"
        got = []
        url = self.echo(got)
        file = self.token_file(secret.encode())
        state = self.path("state")
        self.ctl("register", "--name", "a", "--state", state, "--join-token-file", file,
                 "--endpoint", url)
        daemon = self.start_orchestrator()
        run = self.start(program("tools", "pywattctl"), "run", "--state", state, "--join-token-file",
                         file, "--endpoint", self.relay(daemon.url, secret))
        # The daemon does not know it.
        run.wait_line("reregistered")
        self.assertTrue(self.seen.is_set())
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait_end(), 0)

    def relay(self, url, secret):
        """Another way to `url`; `seen` is set when the secret goes along it."""
        self.seen = threading.Event()
        host, port = url.removeprefix("tcp://").rsplit(":", 1)

        def copy(source, target):
            while piece := source.recv(65536):
                if secret.encode() in piece:
                    self.seen.set()
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

        def serve(connection):
            with socket.create_connection((host, int(port))) as other:
                back = threading.Thread(target=copy, args=(other, connection), daemon=True)
                back.start()
                copy(connection, other)
                back.join()
        peer = Peer(serve)
        self.addCleanup(peer.close)
        return peer.url

    def test_what_is_wrong_with_the_file_of_a_join_token_is_said(self):
        cases = [(b"", "no token"), (b"\nx", "no token"), (b"x" * 257, "at most 256 bytes"),
                 (b"\xff\xfe", "not UTF-8")]
        for text, words in cases:
            with self.subTest(text=text):
                done = self.ctl("register", "--name", "a", "--join-token-file",
                                self.token_file(text), code=2)
                self.assertIn(words, done.text("stderr"))
        done = self.ctl("register", "--name", "a", "--join-token-file", self.path("none"), code=2)
        self.assertIn("No such file", done.text("stderr"))
        done = self.ctl("register", "--name", "a", "--metadata", "join_token=secret", code=2)
        self.assertIn("--join-token-file", done.text("stderr"))
        self.assertNotIn("secret", done.text("stderr"))

    def test_help_version_and_the_help_of_each_command(self):
        self.assertIn("register", self.ctl("help").text())
        self.assertIn("register", self.ctl("--help").text())
        version = self.ctl_json("version")
        self.assertEqual(set(version), {"pywattctl", "libpywatt"})
        self.assertRegex(self.ctl("--version").text(), r"pywattctl +\d+\.\d+\.\d+")
        for command in ("register", "run", "heartbeat", "advertise", "unregister"):
            self.assertRegex(self.ctl(command, "--help").text(), rf"^Usage: pywattctl {command} ")


class ExitCodes(Case):
    """Each class of failure has its code, and a message that names the thing, as text and as JSON."""

    def fails(self, code, status, *arguments, names=()):
        """Checks both forms of the message and returns its text."""
        process = self.ctl(*arguments, code=code)
        self.assertEqual(process.text(), "", process.story())
        text = process.text("stderr")
        self.assertRegex(text, r"^pywattctl: ")
        error = self.ctl_json(*arguments, code=code)["error"]
        self.assertEqual((error["status"], error["exit_code"]), (status, code))
        self.assertEqual(error["code"], status.lower() if status not in CODES else CODES[status])
        self.assertIn(error["message"], text)
        for name in names:
            self.assertIn(name, text)
        return text

    def peer(self, serve):
        peer = Peer(serve)
        self.addCleanup(peer.close)
        return peer.url

    def test_3_when_nobody_listens(self):
        holder, url = closed_port()
        self.addCleanup(holder.close)
        self.fails(3, "CONNECTION", "register", "--name", "a", "--endpoint", url, names=[url])
        url = f"unix:{self.path('nobody')}"
        self.fails(3, "CONNECTION", "register", "--name", "a", "--endpoint", url, names=[url])

    def test_3_when_the_connection_is_lost(self):
        def hang_up(connection):
            connection.recv(1)
            connection.close()
        url = self.peer(hang_up)
        self.fails(3, "CHANNEL", "register", "--name", "a", "--endpoint", url, names=[url])

    @under_valgrind
    def test_4_when_the_name_is_taken(self):
        daemon = self.start_orchestrator("--takeover", "token")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url)
        for codec in self.some(CODECS):
            self.fails(4, "NAME_TAKEN", "register", "--name", "a", "--endpoint", daemon.url,
                       "--codec", codec, names=["'a'"])

    def test_5_when_the_module_is_not_known(self):
        daemon = self.start_orchestrator()
        for codec in CODECS:
            for command in ("heartbeat", "advertise", "unregister"):
                self.fails(5, "MODULE_NOT_FOUND", command, "--id", UNKNOWN_ID, "--token", "t",
                           "--endpoint", daemon.url, "--codec", codec, names=[UNKNOWN_ID])

    def test_6_when_the_token_is_another(self):
        daemon = self.start_orchestrator()
        module = self.ctl_json("register", "--name", "a", "--endpoint", daemon.url)
        for codec in CODECS:
            for command in ("heartbeat", "advertise", "unregister"):
                text = self.fails(6, "INVALID_TOKEN", command, "--id", module["id"], "--token",
                                  "no" + module["token"][2:], "--endpoint", daemon.url, "--codec",
                                  codec)
                self.assertNotIn(module["token"], text)

    def test_7_when_no_reply_comes(self):
        url = self.peer(lambda connection: connection.recv(1 << 20))
        self.fails(7, "TIMEOUT", "register", "--name", "a", "--endpoint", url, "--timeout", "100")

    def test_1_when_the_reply_makes_no_sense(self):
        def babble(connection):
            connection.recv(1 << 16)
            connection.sendall(struct.pack(">IB", 7, 1) + b"{\"a\":]}")
            connection.recv(1)
        url = self.peer(babble)
        self.fails(1, "SERIALIZATION", "register", "--name", "a", "--endpoint", url)

    def test_2_for_values_that_make_no_sense(self):
        me = ("--id", UNKNOWN_ID, "--token", "t")
        for arguments, names in (
                (["register"], ["--name"]),
                (["register", "--name", ""], ["--name"]),
                (["register", "--name", "x" * 300], ["--name"]),
                (["register", "--name", "a", "--id", "7"], ["--id", "'7'"]),
                (["register", "--name", "a", "--metadata", "x"], ["--metadata", "'x'"]),
                (["register", "--name", "a", "--metadata", "=x"], ["--metadata", "'=x'"]),
                (["register", "--name", "a", "--lease", "soon"], ["--lease", "'soon'"]),
                (["register", "--name", "a", "--endpoint", "nonsense"], ["nonsense"]),
                (["register", "--name", "a", "--endpoint", "tcp://h:99999"], ["tcp://h:99999"]),
                (["register", "--name", "a", "--endpoint", "tcp://h:1,,"], ["tcp://h:1,,"]),
                (["register", "--name", "a", "--codec", "xml"], ["xml", "json", "protobuf"]),
                (["register", "--name", "a", "--timeout", "0"], ["--timeout", "'0'"]),
                (["register", "--name", "a", "--log-level", "loud"], ["--log-level", "'loud'"]),
                (["heartbeat"], ["--id", "--state"]),
                (["heartbeat", "--id", UNKNOWN_ID], ["--token"]),
                (["heartbeat", "--id", "7", "--token", "t"], ["--id", "'7'"]),
                (["heartbeat", *me, "--status", "fine"], ["--status", "'fine'"]),
                (["heartbeat", *me, "--detail", "x"], ["--detail", "'x'"]),
                (["advertise", *me, "--http", "GET"], ["--http", "'GET'"]),
                (["advertise", *me, "--http", "GET /a b"], ["--http", "'GET /a b'"]),
                (["advertise", *me, "--http", ",GET /a"], ["--http", "',GET /a'"]),
                (["advertise", *me, "--message-type", "x" * 5000], ["--message-type"]),
                (["advertise", *me, "--capability", "x"], ["--capability", "'x'"]),
                (["advertise", *me, "--capability", "x=yes"], ["--capability", "'x=yes'"]),
                (["advertise", *me, "--capability", "x={\"a\":1,}"], ["--capability"]),
                (["run"], ["--name"]),
                (["run", "--name", "a", "--interval", "0"], ["--interval", "'0'"]),
                (["run", "--name", "a", "--interval", "25h"], ["--interval", "'25h'"]),
                (["run", "--name", "a", "--health", "fine"], ["--health", "'fine'"]),
                (["run", "--name", "a", "--count", "0"], ["--count", "'0'"]),
                (["run", "--name", "a", "--colour"], ["'--colour'"]),
                (["unregister", "now"], ["'now'"]),
                (["dance"], ["'dance'"])):
            with self.subTest(arguments=arguments):
                status = "INVALID_ARGUMENT"
                self.fails(2, status, *arguments, names=names)
        self.fails(2, "UNSUPPORTED", "register", "--name", "a", "--endpoint", "ftp://h:1",
                   names=["ftp://h:1"])
        self.ctl(code=2)

    def test_2_for_state_files_that_are_damaged_and_they_stay_as_they_are(self):
        daemon = self.start_orchestrator()
        state = self.path("state")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        with open(state, encoding="utf-8") as file:
            good = json.load(file)
        damaged = ["", "{", "[]", "null", json.dumps(good) + "x", json.dumps(good) + "\0",
                   json.dumps({**good, "format": 2}), json.dumps({**good, "id": "7"}),
                   json.dumps({**good, "name": ""}), json.dumps({**good, "name": "a\0b"}),
                   json.dumps({**good, "metadata": {"a": 1}})]
        damaged += [json.dumps({k: v for k, v in good.items() if k != gone})
                    for gone in ("endpoint", "codec", "id", "token", "name", "version")]
        for text in damaged:
            with self.subTest(text=text):
                with open(state, "w", encoding="utf-8") as file:
                    file.write(text)
                for command in ("heartbeat", "advertise", "unregister", "run"):
                    said = self.ctl(command, "--state", state, code=2).text("stderr")
                    self.assertIn(f"'{state}'", said)
                    self.assertNotIn(good["token"], said)
                with open(state, encoding="utf-8") as file:
                    self.assertEqual(file.read(), text)

    def test_2_for_state_files_that_are_not_there(self):
        missing = self.path("missing")
        for command in ("heartbeat", "advertise", "unregister"):
            for file in (missing, self.folder):
                said = self.ctl(command, "--state", file, code=2).text("stderr")
                self.assertIn(f"'{file}'", said)

    def test_a_state_file_is_not_overwritten_unless_forced(self):
        daemon = self.start_orchestrator()
        state = self.path("state")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        with open(state, encoding="utf-8") as file:
            before = file.read()
        self.fails(2, "INVALID_ARGUMENT", "register", "--name", "b", "--endpoint", daemon.url,
                   "--state", state, names=[f"'{state}'", "--force"])
        with open(state, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)
        self.ctl("register", "--name", "b", "--endpoint", daemon.url, "--state", state, "--force")
        self.assertEqual(self.ctl_json("heartbeat", "--state", state)["verdict"], "Healthy")

    def test_nothing_is_registered_if_its_state_file_cannot_be_written(self):
        daemon = self.start_orchestrator()
        nowhere = self.path("nowhere") + "/state"
        self.fails(1, "IO", "register", "--name", "a", "--endpoint", daemon.url, "--state",
                   nowhere, names=[f"'{nowhere}'"])
        self.ctl("register", "--name", "b", "--endpoint", daemon.url)
        daemon.wait_line(" registered b ", "stderr")
        self.assertNotIn(" registered a ", daemon.text("stderr"))

    def test_a_failed_command_leaves_the_state_file_and_no_other(self):
        holder, url = closed_port()
        self.addCleanup(holder.close)
        self.ctl("register", "--name", "a", "--endpoint", url, "--state", self.path("state"),
                 code=3)
        self.assertEqual(os.listdir(self.folder), [])

    def test_2_for_capability_files_that_make_no_sense(self):
        me = ("--id", UNKNOWN_ID, "--token", "t")
        file = self.path("can.json")
        for text in ("", "[]", "{} x", '{"endpoint": []}', '{"endpoints": {}}',
                     '{"endpoints": [{"path": "/x"}]}', '{"endpoints": [{"path": 1, "methods": []}]}',
                     '{"endpoints": [{"path": "/x", "methods": [1]}]}',
                     '{"endpoints": [{"path": "/x", "methods": ["GET"], "auth": 1}]}',
                     '{"endpoints": [{"path": "/x", "methods": ["GET"], "metadata": {"a": 1}}]}',
                     '{"endpoints": [{"path": "/x", "methods": ["GET"], "other": 1}]}',
                     '{"message_types": "x"}', '{"message_types": [1]}',
                     '{"additional_capabilities": []}',
                     '{"additional_capabilities": {"a": 1, "a": 2}}', '{"a\\u0000": 1}',
                     '{"message_types": ["a\\u0000b"]}', '{"message_types": [], "message_types": []}',
                     '{"endpoints": [{"path": "/a\\u0000b", "methods": ["GET"]}]}',
                     '{"message_types": ["x"]}\0', '{"message_types": ["\\ud800"]}', "\ufeff{}",
                     json.dumps({"message_types": [str(i) for i in range(257)]})):
            with self.subTest(text=text):
                with open(file, "w", encoding="utf-8") as out:
                    out.write(text)
                self.fails(2, "INVALID_ARGUMENT", "advertise", *me, "--file", file, names=[file])
        missing = self.path("missing")
        for file in (missing, self.folder):  # the folder is there, but cannot be read as a file
            self.fails(2, "IO", "advertise", *me, "--file", file, names=[f"'{file}'"])

    def test_1_when_the_output_cannot_be_written(self):
        process = self.run_to_end("sh", "-c", 'exec "$0" version >/dev/full',
                                  program("tools", "pywattctl"))
        self.assert_ends(process, 1)
        self.assertIn("standard output", process.text("stderr"))


# Codes on the wire that are not the status in lower case.
CODES = {"LIMIT": "limit_exceeded"}

if __name__ == "__main__":
    main()
