#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who may come in at pywatt-orchestrator: join tokens, names, users and groups, and who has proven nothing."""

import grp
import os
import pathlib
import pwd
import signal
import socket

from support import PATIENCE_S, Case, main, program, under_valgrind

DAEMON = "pywatt-orchestrator"
REFUSED = 4
OLD, NEW = "the-old-join-token-of-this-test", "the-new-join-token-of-this-test"


class Admission(Case):
    def setUp(self):
        super().setUp()
        self.shown = []
        self.config = self.path("orchestrator.ini")

    def write(self, path, text, mode=0o600):
        path = self.path(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def register(self, daemon, name, *options, code=0, **more):
        """What it says on stderr."""
        done = self.ctl("register", "--endpoint", daemon.url, "--name", name, *options, code=code, **more)
        self.shown.append(done)
        return done.text("stderr")

    def joins(self, daemon, name, token, code=0):
        return self.register(daemon, name, "--join-token-file", self.write("mine", token), code=code)

    def hang_up(self, daemon, *patterns):
        daemon.signal(signal.SIGHUP)
        for pattern in patterns:
            daemon.wait_line(f"SIGHUP: {pattern}", stream="stderr")

    def faults(self, text, code=2):
        """What --check-config and a start say of this file, without where it is."""
        self.write("orchestrator.ini", text)
        found = []
        for more in (["--check-config"], ["--store", "memory"]):
            process = self.run_to_end(program("tools", DAEMON), "--config", self.config, *more)
            self.assert_ends(process, code)
            found.append([line.removeprefix(f"{DAEMON}: {self.config}:")
                          for line in process.lines["stderr"]])
        self.assertEqual(found[0], found[1])
        return found[0]

    def never_shown(self, *tokens):
        for process in self.shown:
            for stream in process.lines:
                for token in tokens:
                    self.assertNotIn(token, process.text(stream))

    # ---- Join tokens ----

    @under_valgrind
    def test_without_the_join_token_nobody_registers(self):
        daemon = self.start_orchestrator("--join-token-file", self.write("tokens", OLD + "\n"))
        self.shown.append(daemon)
        self.assertIn("A registration here needs a join token", self.register(daemon, "a", code=REFUSED))
        self.assertIn("is not in force here", self.joins(daemon, "a", NEW, code=REFUSED))
        self.joins(daemon, "a", OLD)
        daemon.wait_line(" registered a ", "stderr")
        self.never_shown(OLD, NEW)

    def test_the_join_token_is_kept_nowhere(self):
        tokens, state = self.write("tokens", OLD), self.path("state")
        daemon = self.start_orchestrator("--join-token-file", tokens, "--log-level", "debug", store=None)
        mine = self.write("mine", OLD)
        self.register(daemon, "a", "--join-token-file", mine, "--state", state, "--metadata", "site=north")
        daemon.wait_line(" registered a ", "stderr")
        for what in ("cmdline", "environ"):
            self.assertNotIn(OLD, pathlib.Path(f"/proc/{daemon.child.pid}/{what}").read_text("utf-8"))
        daemon.signal(signal.SIGTERM)
        self.assert_ends(daemon, 0)
        self.shown.append(daemon)
        self.never_shown(OLD)
        kept = {path: path.read_bytes() for path in pathlib.Path(self.folder).rglob("*") if path.is_file()}
        self.assertTrue(any(b"north" in data and path.suffix == ".db" for path, data in kept.items()))
        self.assertEqual({str(path) for path, data in kept.items() if OLD.encode() in data}, {tokens, mine})

    def test_a_run_gets_in_with_it(self):
        daemon = self.start_orchestrator("--join-token-file", self.write("tokens", OLD))
        options = ("--endpoint", daemon.url, "--name", "a", "--count", "3", "--interval", "1ms")
        self.assert_ends(self.start_run(*options), REFUSED)
        self.assert_ends(self.start_run(*options, "--join-token-file", self.write("mine", OLD)), 0)

    def test_it_is_changed_with_two_in_force_meanwhile(self):
        tokens = self.write("tokens", OLD + "\n")
        daemon = self.start_orchestrator("--join-token-file", tokens)
        self.write("tokens", f"{OLD}\n{NEW}\n")
        self.joins(daemon, "a", NEW, code=REFUSED)
        self.hang_up(daemon, "join tokens were read again", "settings were read again: 0 changed")
        self.joins(daemon, "a", NEW)
        self.joins(daemon, "b", OLD)
        self.write("tokens", NEW)
        self.hang_up(daemon, "join tokens were read again")
        self.assertIn("is not in force", self.joins(daemon, "c", OLD, code=REFUSED))
        self.joins(daemon, "c", NEW)

    def test_a_bad_file_leaves_the_old_tokens_in_force_and_its_line_is_said(self):
        tokens = self.write("tokens", OLD)
        self.write("orchestrator.ini", f"[admission]\n\njoin-token-file = {tokens}\n")
        daemon = self.start_orchestrator("--config", self.config)
        self.shown.append(daemon)
        for text, why in ((f"{NEW}\n\n{OLD}\nanother-one-of-them\n", "tokens, line 4: there are two tokens already"),
                          (f"\n{NEW}\t\n", "tokens, line 2: it has a control character"),
                          ("\n", "tokens: no token stands in it")):
            with self.subTest(why=why):
                self.write("tokens", text)
                self.hang_up(daemon, f"{self.config}:3: join-token-file: join_token_file .*{why}",
                             "settings, certificates and join tokens stay as they were")
                self.joins(daemon, "a", NEW, code=REFUSED)
        os.remove(tokens)
        self.hang_up(daemon, f"{self.config}:3: join-token-file: .*No such file", "settings, cert.* stay")
        self.joins(daemon, "a", OLD)
        self.never_shown(OLD, NEW, "another-one-of-them")

    def test_it_may_be_asked_for_from_some_moment_on(self):
        daemon = self.start_orchestrator("--config", self.write("orchestrator.ini", ""))
        self.register(daemon, "a")
        self.write("orchestrator.ini", f"[admission]\njoin-token-file = {self.write('tokens', OLD)}\n")
        self.hang_up(daemon, "join tokens were read again", "settings .*: 1 changed: join-token-file")
        self.register(daemon, "b", code=REFUSED)
        self.joins(daemon, "b", OLD)

    def test_a_check_and_a_start_name_the_file_and_the_line(self):
        tokens = self.write("tokens", f"{OLD}\nx\x01y\n")
        found = self.faults(f"[admission]\njoin-token-file = {tokens}\n")
        self.assertEqual(found, [f"2: join-token-file: join_token_file {tokens}, line 2: it has a control "
                                 "character in it"])
        os.remove(tokens)
        found = self.faults(f"[admission]\njoin-token-file = {tokens}\n")
        self.assertEqual(found, [f"2: join-token-file: join_token_file {tokens}: No such file or directory"])

    def test_a_file_that_everybody_may_read_is_warned_of(self):
        daemon = self.start_orchestrator("--join-token-file", self.write("tokens", OLD, mode=0o644))
        daemon.wait_line("warning: --join-token-file: everybody on this machine may use '.*tokens'", "stderr")
        self.hang_up(daemon, "--join-token-file: everybody on this machine", "join tokens were read again")
        # The library's own words, once for each time.
        self.assertEqual(daemon.text("stderr").count("tokens: others may read or change it"), 2)
        self.joins(daemon, "a", OLD)

    # ---- Names ----

    def test_only_names_that_are_allowed_register(self):
        daemon = self.start_orchestrator("--config", self.write(
            "orchestrator.ini", "[admission]\nallow-names = camera, sensor-*, *.floor2\n"))
        self.assertIn("The module's name is not among those that may register here",
                      self.register(daemon, "lamp", code=REFUSED))
        for name in ("camera", "sensor-1", "lamp.floor2"):
            self.register(daemon, name)
        self.write("orchestrator.ini", "[admission]\nallow-names = lamp\n")
        self.hang_up(daemon, "settings were read again: 1 changed: allow-names")
        self.register(daemon, "lamp")
        self.register(daemon, "sensor-2", code=REFUSED)
        self.write("orchestrator.ini", "[admission]\nallow-names = a*b\n")
        self.hang_up(daemon, f"{self.config}:2: allow-names: .*\"a\\*b\" is neither a name nor", ".* stay as")
        self.register(daemon, "lamp.floor2", code=REFUSED)

    # ---- Users and groups ----

    def start_for(self, *options):
        return self.start_orchestrator(*options, listen=f"unix:{self.path('socket')}")

    def test_other_users_are_refused_at_a_unix_socket(self):
        own = os.geteuid()
        other = next(user for user in pwd.getpwall() if user.pw_uid != own)
        daemon = self.start_for("--config", self.write(
            "orchestrator.ini", f"[admission]\nallow-users = {other.pw_name}\n"))
        self.assertIn("may not use", self.register(daemon, "a", code=REFUSED))
        self.write("orchestrator.ini", f"[admission]\nallow-users = {other.pw_name} , {own}\n")
        self.hang_up(daemon, "settings were read again: 1 changed: allow-users")
        self.register(daemon, "a")

    @under_valgrind
    def test_a_name_stands_for_its_number(self):
        uids = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
        gids = {group.gr_name: group.gr_gid for group in grp.getgrall()}
        for key, own, others in self.some([("allow-groups", gids, uids), ("allow-users", uids, gids)]):
            with self.subTest(key=key):
                # Best one that is not the same among the others.
                name = max(own, key=lambda name, own=own, others=others: others.get(name) != own[name])
                daemon = self.start_for("--config", self.write(
                    "orchestrator.ini", f"[admission]\n{key} = {name}\n"))
                self.write("orchestrator.ini", f"[admission]\n{key} = {own[name]}\n")
                self.hang_up(daemon, "settings were read again: 0 changed")
                daemon.signal(signal.SIGTERM)
                self.assert_ends(daemon, 0)

    def test_users_and_groups_go_by_name_and_by_number(self):
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
        gids = {os.getegid(), *os.getgroups()}
        other_user = next(u for u in pwd.getpwall() if u.pw_uid != user.pw_uid).pw_name
        other_group = next(g for g in grp.getgrall() if g.gr_gid not in gids).gr_name
        for users, groups, code in (
                (user.pw_name, None, 0), (f"{other_user},{user.pw_uid}", None, 0),
                (None, group.gr_name, 0), (None, f"{other_group}, {group.gr_gid}", 0),
                (other_user, group.gr_name, 0), (user.pw_name, other_group, 0),
                (None, other_group, REFUSED), (other_user, other_group, REFUSED)):
            with self.subTest(users=users, groups=groups):
                daemon = self.start_for(*(["--allow-users", users] if users else []),
                                        *(["--allow-groups", groups] if groups else []))
                self.register(daemon, "a", code=code)
                daemon.signal(signal.SIGTERM)
                self.assert_ends(daemon, 0)

    @under_valgrind
    def test_who_is_not_there_is_said_with_its_line(self):
        self.assertEqual(
            self.faults("[admission]\nallow-users = root,, root\nallow-groups = no.such.group, 0\n"), [
                "2: allow-users: '' is no user of this machine: names or numbers, separated by commas",
                "3: allow-groups: 'no.such.group' is no group of this machine: names or numbers, separated by "
                "commas"])
        if not self.valgrind:
            self.assertEqual(
                self.faults("[admission]\nallow-users = 0, 4294967295\nallow-groups =\n"), [
                    "2: allow-users: '4294967295' is not a whole number from 0 to 4294967294",
                    "3: allow-groups: it is empty: it wants LIST"])
            self.assertRegex(self.faults(f"[admission]\nallow-users = 0,{'r' * 300},1\n")[0],
                             "^2: allow-users: 'r{100}' is no user of this machine")

    # ---- Who has proven nothing ----

    def connect(self, daemon):
        host, port = daemon.url.removeprefix("tcp://").rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), PATIENCE_S)
        self.addCleanup(connection.close)
        return connection

    def assert_closed(self, connection):
        try:
            self.assertEqual(connection.recv(1), b"")
        except ConnectionResetError:
            pass

    def test_only_so_many_of_an_address_may_have_proven_nothing(self):
        daemon = self.start_orchestrator("--workers", "1", "--max-unproven-per-peer", "1",
                                         "--first-frame-timeout", "1h")
        first = self.connect(daemon)
        self.assert_closed(self.connect(daemon))
        first.setblocking(False)
        with self.assertRaises(BlockingIOError):
            first.recv(1)


if __name__ == "__main__":
    main()
