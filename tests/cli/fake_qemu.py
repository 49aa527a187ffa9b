#!/usr/bin/env python3
"""Stands in for qemu-system-x86_64 (put into PATH under that name): speaks the framed console of
platform/pc/console_protocol.h on descriptor 3, and does what the first argument of the "program" says. So the command's
side of the line is tested without a machine, also in ways in which no machine behaves.

The boot archive is read as the kernel would: which tests that, too."""
import os, re, signal, socket, struct, sys, time

GREETING = b"\r\n<tessera console 1>\r\n"


def archive_entries(data):
    at, entries = 0, {}
    while True:
        assert data[at:at + 6] == b"070701", at
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        size, name_bytes = fields[6], fields[11]
        name = data[at + 110:at + 110 + name_bytes - 1].decode()
        at = (at + 110 + name_bytes + 3) & ~3
        if name == "TRAILER!!!":
            return entries
        entries[name] = (fields[1], data[at:at + size])
        at = (at + size + 3) & ~3


words = sys.argv
option = lambda name: words[words.index(name) + 1]
with open(option("-initrd"), "rb") as file:
    archive = archive_entries(file.read())
launch = [field.decode() for field in archive[".tessera/launch"][1].split(b"\0")[:-1]]
arguments = [field.split("=", 1)[1] for field in launch if field.startswith("argument=")]
line = socket.socket(fileno=3)


def send(kind, payload=b""):
    for at in range(0, max(len(payload), 1), 4096):
        part = payload[at:at + 4096]
        line.sendall(kind.encode() + struct.pack("<H", len(part)) + part)


def receive():
    data = b""
    while len(data) < 3 or len(data) < 3 + struct.unpack("<H", data[1:3])[0]:
        byte = line.recv(1)
        if not byte:
            sys.exit(0)
        data += byte
    return chr(data[0]), data[3:]


def credit(count):
    send("c", struct.pack("<I", count))


def finish(status, end=0):
    send("x", struct.pack("<IB", status, end))
    time.sleep(5)


behaviour = arguments[1]
if behaviour == "die-early":
    print("no such machine")
    sys.exit(1)
line.sendall(b"early text" + GREETING[:5])
time.sleep(0.01)
line.sendall(GREETING[5:])
if behaviour == "exit":
    send("v", b"verbose text\n")
    finish(int(arguments[2]))
elif behaviour == "streams":
    send("o", b"to stdout\n")
    send("e", b"to stderr\n")
    send("l", b"to the log\n")
    finish(0)
elif behaviour == "copy":
    # All of stdin to stdout, in odd portions, with never more than the credit given.
    total, limit = 0, 1000
    credit(limit)
    while True:
        kind, payload = receive()
        if kind == "d":
            break
        assert kind == "i" and len(payload) <= limit, (kind, len(payload))
        send("o", payload)
        limit += 777 - len(payload)
        credit(777)
    finish(0)
elif behaviour == "leave-input":
    finish(0)
elif behaviour == "interrupt":
    send("o", b"ready\n")
    kind, payload = receive()
    assert kind == "k", kind
    finish(130)
elif behaviour == "ignore-interrupt":
    send("o", b"ready\n")
    time.sleep(20)
elif behaviour == "panic":
    send("l", b"something is wrong\n")
    finish(125, 1)
elif behaviour == "die":
    sys.exit(3)
elif behaviour == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
elif behaviour == "nonsense":
    line.sendall(b"Z\x01\x00Z")
    time.sleep(20)
elif behaviour == "describe":
    text = "\n".join(launch) + "\n"
    for name in sorted(archive):
        mode, content = archive[name]
        if name.startswith(".tessera/directories"):
            shown = content.decode() if mode & 0o170000 != 0o040000 else "/"
            text += "%s %o %s\n" % (name, mode & 0o170000, shown.strip())
    send("o", text.encode())
    send("o", ("append=" + option("-append") + "\nmemory=" + option("-m") + "\n").encode())
    finish(0)
