#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Modules on the published Rust SDK against the daemon. src/bin/sdk_module.rs does what is said here."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import uuid

from cargo import main_with_programs, sdk_program
from support import FACTOR, PATIENCE_S, Case

# Longer than the SDK waits for any one reply.
SDK_PATIENCE_S = 30 + PATIENCE_S
CAPABILITIES = {
    "endpoints": [{"path": "/limits", "methods": ["GET", "POST"], "auth": "jwt",
                   "metadata": {"unit": "K"}}],
    "message_types": ["temperature"],
    "additional_capabilities": {"limits": {"max": [1, 2.5, None]}},
}


class Refused(Exception):
    """An error of the SDK: its kind, and the words."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class RustModule(Case):
    def start_sdk(self):
        """A process with the SDK in it."""
        return self.start(sdk_program("sdk_module"), stdin=subprocess.PIPE)

    def ask(self, process, what, **more):
        process.child.stdin.write(json.dumps({"do": what, **more}) + "\n")
        process.child.stdin.flush()
        answer = json.loads(process.wait_line("^{", patience_s=SDK_PATIENCE_S).string)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["ok"]

    def place(self, daemon):
        host, port = daemon.url.removeprefix("tcp://").rsplit(":", 1)
        return {"host": host, "port": int(port)}

    def register(self, process, daemon, name, metadata=None, **more):
        info = {"name": name, "version": "1.0", "description": "a test", "metadata": metadata, **more}
        return self.ask(process, "register", info=info, **self.place(daemon))

    def refused(self, process, what, **more):
        with self.assertRaises(Refused) as caught:
            self.ask(process, what, **more)
        self.assertEqual(caught.exception.kind, "Rejected", caught.exception.text)
        return caught.exception.text.removeprefix("Registration rejected: ")

    # ---- By call ----

    def test_the_life_of_a_module(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        module = self.register(sdk, daemon, "thermometer", {"site": "north"})
        self.assertEqual(module["info"]["name"], "thermometer")
        self.assertEqual(module["info"]["metadata"], {"site": "north"})
        self.assertEqual((module["orchestrator_host"], module["orchestrator_port"]),
                         tuple(self.place(daemon).values()))
        self.assertEqual(module["additional_data"]["generation"], 1)
        daemon.wait_line(f" registered thermometer id={module['id']}", "stderr")

        for status in ("Unhealthy", "Degraded", "Healthy"):
            beat = self.ask(sdk, "heartbeat", module=module, status=status, details={"load": "1"})
            self.assertEqual(beat, status)
            daemon.wait_line(f" health thermometer .*health={status} ", "stderr")
        self.ask(sdk, "advertise", module=module, capabilities=CAPABILITIES)
        daemon.wait_line(" advertised thermometer ", "stderr")
        self.ask(sdk, "unregister", module=module)
        daemon.wait_line(" unregistered thermometer ", "stderr")
        self.assertEqual(self.refused(sdk, "heartbeat", module=module, status="Healthy"),
                         f"Module not found: {module['id']}")
        self.assertEqual(self.refused(sdk, "unregister", module=module),
                         f"Module not found: {module['id']}")

    def test_gets_the_id_that_it_asks_for(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        wanted = str(uuid.uuid4())
        self.assertEqual(self.register(sdk, daemon, "a", id=wanted)["id"], wanted)

    def test_a_wrong_token_is_refused_and_the_module_beats_on(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        module = self.register(sdk, daemon, "a")
        wrong = {**module, "token": module["token"][::-1]}
        # On the connection that the module came in on, and on one of its own.
        for process in (sdk, self.start_sdk()):
            for what, more in (("heartbeat", {"status": "Healthy"}),
                               ("advertise", {"capabilities": CAPABILITIES}), ("unregister", {})):
                self.assertEqual(self.refused(process, what, module=wrong, **more), "Invalid token")
            self.assertEqual(self.ask(process, "heartbeat", module=module, status="Degraded"),
                             "Degraded")

    def test_a_name_is_refused_while_its_holder_lives(self):
        daemon, first, second = self.start_orchestrator(), self.start_sdk(), self.start_sdk()
        module = self.register(first, daemon, "a")
        info = {"name": "a", "version": "2.0", "description": "another"}
        self.assertEqual(self.refused(second, "register", info=info, **self.place(daemon)),
                         "Module name 'a' is already taken")
        self.ask(first, "unregister", module=module)
        self.register(second, daemon, "a")

    def test_a_join_token_in_the_metadata_lets_it_in(self):
        secret = "a-join-token-of-some-length"
        with open(self.path("tokens"), "w", encoding="ascii") as file:
            file.write(secret + "\n")
        daemon, sdk = self.start_orchestrator("--join-token-file", self.path("tokens")), self.start_sdk()
        info = {"name": "a", "version": "1.0", "description": "a test"}
        self.assertIn("needs a join token", self.refused(sdk, "register", info=info, **self.place(daemon)))
        module = self.register(sdk, daemon, "a", {"site": "north", "join_token": secret})
        self.assertEqual(module["info"]["metadata"], {"site": "north"})
        self.assertEqual(self.ask(sdk, "heartbeat", module=module, status="Degraded"), "Degraded")
        self.assertNotIn(secret, daemon.text("stderr"))

    # ---- Over a Unix socket ----

    def test_the_life_of_a_module_over_a_unix_socket(self):
        path = self.path("s")
        daemon = self.start_orchestrator(listen=["tcp://127.0.0.1:0", f"unix:{path}"])
        sdk = self.start_sdk()
        self.ask(sdk, "connect_unix", path=path)
        reply = self.ask(sdk, "ask", content={"request_type": "register", "module_info": {
            "name": "a", "version": "1", "description": "d"}})
        self.assertTrue(reply["success"], reply)
        module = reply["module"]
        daemon.wait_line(f" registered a id={module['id']}", "stderr")
        known = {"module_id": module["id"], "token": module["token"]}
        for content in ({"request_type": "heartbeat", "status": "Degraded", "details": {"k": "v"}},
                        {"request_type": "capabilities", "capabilities": CAPABILITIES}):
            reply = self.ask(sdk, "ask", content={**content, **known})
            self.assertTrue(reply["success"], reply)
            self.assertEqual(reply["response_type"], content["request_type"])
            self.assertEqual(reply.get("status"), content.get("status"))
        # The SDK's own calls know TCP alone: they go to where the orchestrator says that it is.
        self.assertEqual(self.ask(sdk, "heartbeat", module=module, status="Unhealthy"), "Unhealthy")
        reply = self.ask(sdk, "ask", content={"request_type": "unregister", **known})
        self.assertTrue(reply["success"], reply)
        reply = self.ask(sdk, "ask", content={"request_type": "unregister", **known})
        self.assertEqual((reply["success"], reply["error"]),
                         (False, f"Module not found: {module['id']}"))

    # ---- The SDK's own loop ----

    def wait_beats(self, sdk, module, more):
        """Until the loop has begun so many more; each has had its reply, or an error, but for the last."""
        self.ask(sdk, "await_beats", module=module, more=more)

    def test_its_loop_tells_the_health_and_its_end_is_noticed(self):
        lease_ms = 1000 * FACTOR
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        module = self.register(sdk, daemon, "a", {"lease_ms": str(lease_ms)})
        self.assertEqual(module["additional_data"]["lease_ms"], lease_ms)
        self.ask(sdk, "start_loop", module=module, interval_ms=10)
        for status in ("Degraded", "Unhealthy", "Healthy"):
            self.ask(sdk, "set_health", module=module, status=status)
            daemon.wait_line(f" health a .*health={status} ", "stderr")
        self.ask(sdk, "stop_loop", module=module)
        daemon.wait_line(" liveness a .*liveness=lost", "stderr")
        self.assertEqual(self.ask(sdk, "heartbeat", module=module, status="Healthy"), "Healthy")
        daemon.wait_line(" liveness a .*liveness=alive", "stderr")

    def test_its_loop_runs_on_after_unregister_and_harms_nobody(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        gone, there = self.register(sdk, daemon, "gone"), self.register(sdk, daemon, "there")
        self.ask(sdk, "start_loop", module=gone, interval_ms=1)
        self.wait_beats(sdk, gone, 3)
        try:
            self.ask(sdk, "unregister", module=gone)
        except Refused as refused:
            # Both are on one connection, and the SDK may take the reply to a later beat for this one's.
            self.assertIn("Module not found", refused.text)
        daemon.wait_line(" unregistered gone ", "stderr")
        for status in ("Degraded", "Healthy"):
            self.wait_beats(sdk, gone, 20)
            self.assertEqual(self.ask(sdk, "heartbeat", module=there, status=status), status)
            daemon.wait_line(f" health there .*health={status} ", "stderr")
        self.assertNotRegex(daemon.text("stderr").split(" unregistered gone ")[1], r" gone ")

    # ---- The orchestrator is killed ----

    def kill_and_start_again(self, daemon):
        daemon.signal(signal.SIGKILL)
        self.assert_ends(daemon, -signal.SIGKILL)
        return self.start_orchestrator(listen=daemon.url, store=self.store())

    def store(self):
        return f"sqlite:{self.path('registrations.db')}"

    def test_calls_go_on_with_id_and_token_after_a_kill(self):
        daemon, before = self.start_orchestrator(store=self.store()), self.start_sdk()
        module = self.register(before, daemon, "a")
        self.ask(before, "advertise", module=module, capabilities=CAPABILITIES)
        before.end()
        again, sdk = self.kill_and_start_again(daemon), self.start_sdk()
        with contextlib.closing(sqlite3.connect(self.path("registrations.db"))) as database:
            kept = database.execute("SELECT id, capabilities FROM modules").fetchall()
        self.assertEqual([(i, json.loads(c)) for i, c in kept], [(module["id"], CAPABILITIES)])
        self.assertEqual(self.ask(sdk, "heartbeat", module=module, status="Degraded"), "Degraded")
        again.wait_line(" health a .*health=Degraded ", "stderr")
        wrong = {**module, "token": module["token"][::-1]}
        self.assertEqual(self.refused(sdk, "heartbeat", module=wrong, status="Healthy"),
                         "Invalid token")
        self.ask(sdk, "unregister", module=module)
        again.wait_line(" unregistered a ", "stderr")

    def call_until_answered(self, sdk, what, **more):
        """One call may fail, on the connection that was lost; the next has a reply."""
        try:
            return self.ask(sdk, what, **more)
        except Refused as error:
            self.assertIn(error.kind, ("ConnectionError", "ChannelError", "IoError", "Timeout"), error)
            return self.ask(sdk, what, **more)

    def test_calls_go_on_in_the_same_process_after_a_kill(self):
        daemon, sdk = self.start_orchestrator(store=self.store()), self.start_sdk()
        module = self.register(sdk, daemon, "a")
        again = self.kill_and_start_again(daemon)
        self.assertEqual(self.call_until_answered(sdk, "heartbeat", module=module, status="Degraded"),
                         "Degraded")
        again.wait_line(" health a .*health=Degraded ", "stderr")
        again = self.kill_and_start_again(again)
        self.call_until_answered(sdk, "advertise", module=module, capabilities=CAPABILITIES)
        again.wait_line(" advertised a ", "stderr")
        self.assert_held(again)

    def assert_held(self, daemon):
        """Whoever was known when it started kept id and lease."""
        self.assertNotRegex(daemon.text("stderr"),
                            r" (registered|reregistered|unregistered|forgotten) |liveness=lost")

    def test_its_loops_go_on_by_themselves_after_a_kill(self):
        daemon, sdk = self.start_orchestrator(store=self.store()), self.start_sdk()
        names = ["a", "b"]
        modules = [self.register(sdk, daemon, name) for name in names]
        for module in modules:
            self.ask(sdk, "start_loop", module=module, interval_ms=20)
            self.wait_beats(sdk, module, 3)
        # The SDK takes its first beat for sent, and waits for the reply on the next connection. That
        # ends with the time for a connection's first frame, by default before a lease is over.
        again = self.kill_and_start_again(daemon)
        for module, name in zip(modules, names):
            self.ask(sdk, "set_health", module=module, status="Degraded")
            again.wait_line(f" health {name} .*health=Degraded ", "stderr", SDK_PATIENCE_S)
            self.assertEqual(self.ask(sdk, "heartbeat", module=module, status="Degraded"), "Degraded")
        self.assert_held(again)

    # ---- Tasks at once ----

    def test_four_tasks_at_once_on_connections_of_their_own(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        names = [f"task-{number}" for number in range(4)]
        done = self.ask(sdk, "live_at_once", names=names, beats=100, **self.place(daemon))
        self.assertCountEqual(done, names)
        daemon.wait_lines(*(f" {what} {name} " for name in names
                            for what in ("registered", "advertised", "unregistered")),
                          stream="stderr")

    def test_four_tasks_at_once_on_one_connection(self):
        daemon, sdk = self.start_orchestrator(), self.start_sdk()
        module = self.register(sdk, daemon, "a")
        done = self.ask(sdk, "beat_at_once", module=module, tasks=4, beats=100)
        self.assertEqual(done, [100] * 4)


if __name__ == "__main__":
    main_with_programs()
