# SPDX-License-Identifier: MIT OR Apache-2.0
"""A module with the manners of the Python SDK, which is not published: the frames of docs/PROTOCOL.md under
the code 0, every absent option as an explicit null, requests and replies in the envelope, and errors that
are told apart by their words.

One connection for each module, and a lock around a request and its reply. Once the connection is lost,
the next request opens another.
"""

import contextlib
import json
import socket
import struct
import threading
import uuid

CODE = 0
HEALTH = ("healthy", "degraded", "unhealthy")


class Rejected(Exception):
    pass


class NameTaken(Rejected):
    pass


class AuthenticationFailed(Rejected):
    pass


def refusal(text):
    """The class that the SDK chooses for an error text: the first rule that holds, in this order."""
    low = text.lower()
    if "name" in low and "taken" in low:
        return NameTaken(text)
    if "rejected" in low:
        return Rejected(text)
    if "auth" in low:
        return AuthenticationFailed(text)
    return Rejected(text)


def connect(url, patience_s):
    scheme, place = url.split(":", 1)
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(patience_s)
        connection.connect(place)
        return connection
    host, port = place.removeprefix("//").rsplit(":", 1)
    return socket.create_connection((host, int(port)), patience_s)


class Channel:
    def __init__(self, url, patience_s):
        self.url = url
        self.patience_s = patience_s
        self.lock = threading.Lock()
        self.socket = None
        self.file = None

    def close(self):
        if self.socket is not None:
            self.file.close()
            self.socket.close()
        self.socket = self.file = None

    def read(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise ConnectionError("the connection was closed")
        return data

    def ask(self, content):
        """The content of the reply. What SDKs cannot live with in a reply is an AssertionError."""
        message = {"id": str(uuid.uuid4()), "content": content, "metadata": {
            "id": None, "timestamp": None, "source": None, "destination": None, "properties": None}}
        payload = json.dumps(message).encode()
        with self.lock, contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            if self.socket is None:
                self.socket = connect(self.url, self.patience_s)
                self.file = self.socket.makefile("rb")
            self.socket.sendall(struct.pack(">IB", len(payload), CODE) + payload)
            size, code = struct.unpack(">IB", self.read(5))
            reply = json.loads(self.read(size))
            on_failure.pop_all()
        assert code == CODE, f"code {code}"
        assert str(uuid.UUID(reply["id"])) and isinstance(reply["metadata"], dict), reply
        return reply["content"]


class Module:
    """Registers when it is made."""

    def __init__(self, url, name, metadata=None, module_id=None, patience_s=10):
        self.channel = Channel(url, patience_s)
        self.loop = None
        self.ending = threading.Event()
        try:
            reply = self.request("registration", module_info={
                "name": name, "version": "1.0", "description": "a test", "id": module_id,
                "metadata": metadata})
        except Rejected:
            self.channel.close()
            raise
        self.registration = reply["module"]
        self.id = self.registration["id"]
        self.token = self.registration["token"]

    def request(self, request_type, **fields):
        reply = self.channel.ask({"request_type": request_type, **fields})
        if not reply["success"]:
            raise refusal(reply["error"])
        return reply

    def known(self, request_type, **fields):
        return self.request(request_type, module_id=self.id, token=self.token, **fields)

    def heartbeat(self, status, details=None):
        """The health as the orchestrator sees it."""
        seen = self.known("heartbeat", status=status, details=details)["status"]
        assert seen in HEALTH, seen
        return seen

    def advertise(self, path, methods, message_types=None, more=None):
        self.known("capabilities", capabilities={
            "endpoints": [{"path": path, "methods": methods, "auth": None, "metadata": None}],
            "message_types": message_types, "additional_capabilities": more})

    def unregister(self):
        self.known("unregistration")

    def start_loop(self, interval_s, status):
        """Beats in a thread, whatever comes of it. `status` is called for each."""
        def run():
            while not self.ending.is_set():
                with contextlib.suppress(OSError, Rejected):
                    self.heartbeat(status())
                self.ending.wait(interval_s)
        self.loop = threading.Thread(target=run, daemon=True)
        self.loop.start()

    def end(self):
        self.ending.set()
        if self.loop is not None:
            self.loop.join()
        self.channel.close()
