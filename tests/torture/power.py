#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""power.py --build FOLDER [--long] [COUNT]: takes the power from the disk COUNT times (200 times) under a
load of registrations: an ext4 on a loop device is shut down without its journal being written, so what
it had not sent to the device is lost. Then the daemon is killed, and started again with what is there.

What was acknowledged before the power went is there, and the file opens. (While it goes, the kernel may say
of a sync that it went well and drop it; a machine without power would have told nobody.) Needs root, and loop devices. The last line is one of
figures, in JSON.
"""

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import time

from load import Loads, check_file, check_tokens, parse_arguments, start
from mounted import enter_namespace, passed, run, skip
from support import FACTOR

NAME = "the_power_goes_under_load"
COUNT = 5
COUNT_LONG = 200
IMAGE_BYTES = 64 << 20

# From the kernel's ext4: _IOR('X', 125, __u32), and the flag for not even flushing the journal.
EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2


class Disk:
    def __init__(self, folder):
        self.image = os.path.join(folder, "image")
        self.place = os.path.join(folder, "mounted")
        os.mkdir(self.place)
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.place)

    def unmount(self):
        run("umount", self.place)

    def drop(self):
        run("umount", "--lazy", self.place)

    def cut(self):
        folder = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(folder)


def one_round(disk, store, number, known, doubtful, longest_s):
    process, url = start(store)
    try:
        check_file(store, known, doubtful)
        check_tokens(url, known, doubtful)
        loads = Loads(url, number, known, doubtful)
        time.sleep(random.uniform(0, longest_s))
        loads.will_break()
        disk.cut()
        process.signal(signal.SIGKILL)
        process.wait_end()
        answered = loads.end()
    finally:
        process.end()
    disk.unmount()
    disk.mount()
    return answered


def torture(folder, count, longest_s):
    disk = Disk(folder)
    try:
        store = os.path.join(disk.place, "registrations.db")
        known, doubtful = {}, set()
        answered = 0
        for number in range(count):
            answered += one_round(disk, store, number, known, doubtful, longest_s)
            print(f"{number}: {len(known)} modules are known", flush=True)
        process, url = start(store)
        try:
            present = check_file(store, known, doubtful)
            check_tokens(url, known, doubtful)
        finally:
            process.end()
        return answered, present
    finally:
        disk.drop()


def main():
    arguments = parse_arguments(__doc__, COUNT, COUNT_LONG)
    why_not = enter_namespace()
    if why_not is not None:
        return skip(NAME, why_not)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        try:
            Disk(tempfile.mkdtemp(dir=folder)).unmount()
        except (OSError, subprocess.CalledProcessError) as error:
            return skip(NAME, f"no loop device: {error}")
        answered, present = torture(folder, arguments.count, arguments.longest * FACTOR)
    passed(NAME)
    print(json.dumps({"test": "power", "cuts": arguments.count, "acknowledged": answered, "lost": 0,
                      "modules": present, "seconds": round(time.monotonic() - began, 1)}))
    return None


if __name__ == "__main__":
    main()
