"""The kernel in a virtual machine: how much it executes before a program's first instruction, how long a hello takes, how
large the image is.

Instructions are counted by QEMU's -icount shift=0, under which virtual time advances by one nanosecond per
instruction. The guest tells the time itself: monotonic time starts at the kernel's entry, and reading it is the first
thing that the 1 KB module does, and that the clang-built one does in main (so its C library's start counts too).
"""
import os
import shutil
import statistics
import struct

from . import process, programs
from .programs import HERE

BOOTS, QUICK_BOOTS = 10, 3


def clock_module(folder):
    """The 1 KB module: bench/programs/clock_kilobyte.wat, padded with a custom section."""
    output = folder / "wasm/clock_kilobyte.wasm"
    output.parent.mkdir(parents=True, exist_ok=True)
    process.run_once(["wat2wasm", HERE / "programs/clock_kilobyte.wat", "-o", output])
    data = output.read_bytes()
    room = 1024 - len(data) - 3 - 4
    payload = b"\x03pad" + bytes(room)
    output.write_bytes(data + b"\x00" + struct.pack("BB", len(payload) & 0x7F | 0x80, len(payload) >> 7) + payload)
    return output


def counting_machine(folder):
    """A folder for the front of PATH whose qemu counts instructions."""
    machine = shutil.which("qemu-system-x86_64")
    if machine is None:
        raise process.Failed("qemu-system-x86_64 is not installed")
    wrapper = folder / "counting/qemu-system-x86_64"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(f'#!/bin/sh\nexec {machine} "$@" -icount shift=0\n')
    wrapper.chmod(0o755)
    return wrapper.parent


def instructions(tessera, machine, module):
    """The time in nanoseconds that the guest printed, under -icount."""
    path = f"PATH={machine}:{os.environ['PATH']}"
    output, _ = process.run_once(["env", path, tessera, "run", "--accelerator", "tcg", "--", module])
    return int(output)


def measure(options, folder, found, _only):
    result = {}
    build = folder.parent
    tessera, kernel = build / "tessera", build / "kernel.elf"
    if not any(engine.key == "tessera" for engine in found):
        return {"failure": "Tessera is not measured"}
    if kernel.exists():
        result["kernel_bytes"] = kernel.stat().st_size
    hello, clock = programs.Program("hello", folder), programs.Program("clock", folder)
    try:
        hello.build()
        machine = counting_machine(folder)
        result["instructions"] = {"1 KB module": instructions(tessera, machine, clock_module(folder))}
        clock.build()
        result["instructions"]["clang-built hello"] = instructions(tessera, machine, clock.wasm)
        result["module_bytes"] = clock.wasm.stat().st_size
    except (process.Failed, ValueError) as error:
        result["failure"] = str(error)
    try:
        spawn = process.build_spawn(folder)
        boots = QUICK_BOOTS if options.quick else BOOTS
        cost = process.spawn_many(spawn, boots, [tessera, "run", "--platform", "vm", "--", hello.wasm])
        result["boot_to_end_ms"] = statistics.median(cost["wall"]) / 1000
    except process.Failed as error:
        result["failure"] = str(error)
    return result
