#!/usr/bin/env python3
"""The same as smith.mjs, by wasmtime (package `wasmtime` of the Python index), for what V8 does not have.

Not compared, since they may differ: bits of NaNs; globals, vectors, exceptions and references of other types, whose
types the package does not give; modules with memory.atomic.wait; a call for which wasmtime's stack or memory did not
suffice, and what the module does after it: that is run here without a look at what comes of it."""
import collections
import json
import math
import os
import struct
import sys

import wasmtime

import encode

FEATURES = ["custom_page_sizes", "exceptions", "function_references", "gc", "memory64", "multi_memory", "relaxed_simd",
            "relaxed_simd_deterministic", "tail_call", "threads", "wide_arithmetic"]
HOST = [object() for _ in range(4)]
CALLS = [
    {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "externref": None, "funcref": None},
    {"i32": 1, "i64": -1, "f32": 1.5, "f64": -2.25, "externref": HOST[1], "funcref": None},
    {"i32": -(1 << 31), "i64": (1 << 63) - 1, "f32": -0.0, "f64": 1e300, "externref": HOST[2], "funcref": None},
    {"i32": 77777, "i64": 123456789012345, "f32": 2.0**-140, "f64": math.inf, "externref": HOST[3], "funcref": None},
]
# Of a memory or the collected heap. smith.py gives the kernel more than this for all modules of a batch together, so what
# finds room in wasmtime does so here.
MEMORY_BYTES = 2 << 20
FORMATS = {"i32": ("<i", "<I"), "i64": ("<q", "<Q"), "f32": ("<f", "<I"), "f64": ("<d", "<Q")}
# The words of the official suite; TABLE_OUT_OF_BOUNDS is also wasmtime's word for calls.
TRAPS = {
    "UNREACHABLE": "unreachable", "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access", "HEAP_MISALIGNED": "unaligned atomic",
    "TABLE_OUT_OF_BOUNDS": "", "INDIRECT_CALL_TO_NULL": "uninitialized element", "BAD_SIGNATURE": "indirect call type mismatch",
    "INTEGER_OVERFLOW": "integer overflow", "INTEGER_DIVISION_BY_ZERO": "integer divide by zero",
    "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer", "NULL_REFERENCE": "null", "CAST_FAILURE": "cast failure",
    "ARRAY_OUT_OF_BOUNDS": "out of bounds array access",
}


class LeftOut(Exception):
    """Nothing to compare, with the reason; the module's other exports are not affected."""


class Exhausted(LeftOut):
    """wasmtime had not enough of something: from here on the module may do something else."""


class Types:
    """The types of a module's functions, as far as scripts and Python share them: kind names, None for others.
    The package ends the process when it is asked for a type that it does not know."""

    def __init__(self, data):
        self.data, self.position = data, 8
        self.functions, self.exports = [], {}
        types = []
        while self.position < len(data):
            section, size = self.byte(), self.number()
            end = self.position + size
            if section == 1:
                for _ in range(self.number()):
                    for _ in range(self.number() if self.skip(0x4e) else 1):
                        types.append(self.type())
            elif section == 3:
                self.functions = [types[self.number()] for _ in range(self.number())]
            elif section == 7:
                for _ in range(self.number()):
                    name = self.bytes(self.number()).decode()
                    self.exports[name] = self.byte(), self.number()
            self.position = end

    def byte(self):
        self.position += 1
        return self.data[self.position - 1]

    def bytes(self, size):
        self.position += size
        return self.data[self.position - size:self.position]

    def skip(self, byte):
        found = self.data[self.position] == byte
        self.position += found
        return found

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def value_type(self):
        code = self.byte()
        if code in (0x63, 0x64):
            self.number()
        return {0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x70: "funcref", 0x6f: "externref"}.get(code)

    def type(self):
        if self.skip(0x50) or self.skip(0x4f):
            for _ in range(self.number()):
                self.number()
        kind = self.byte()
        if kind == 0x60:
            return tuple([self.value_type() for _ in range(self.number())] for _ in range(2))
        for _ in range(1 if kind == 0x5e else self.number()):
            self.value_type()
            self.byte()
        return None

    def function(self, name):
        """Parameters and results of an exported function; modules import nothing."""
        return self.functions[self.exports[name][1]]


def constant(kind, value):
    if kind in ("externref", "funcref"):
        if value is None:
            return {"type": kind, "value": "null"}
        return {"type": kind, "value": str(HOST.index(value))} if kind == "externref" else {"type": kind}
    pack, unpack = FORMATS[kind]
    return {"type": kind, "value": str(struct.unpack(unpack, struct.pack(pack, value))[0])}


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def trap_words(error):
    code = error.trap_code.name if isinstance(error, wasmtime.Trap) and error.trap_code else None
    if code == "STACK_OVERFLOW":
        raise Exhausted("wasmtime's stack ran out") from error
    if "GC heap out of memory" in str(error) or code == "ALLOCATION_TOO_LARGE":
        raise Exhausted("wasmtime's heap is full") from error
    if code not in TRAPS and code != "UNCAUGHT_EXCEPTION":
        raise LeftOut(f"error of another kind: {str(error).splitlines()[-1][:60]}") from error
    return TRAPS.get(code)


def checksum_module(name, is_64, page_log2):
    """As that of smith.mjs, for memories of all kinds; up to 7 bytes at the end of small pages are not looked at."""
    address, add, shift, at_end, const = ((0x7e, 0x7c, 0x86, 0x5a, b"\x42") if is_64 else (0x7f, 0x6a, 0x74, 0x4f, b"\x41"))
    small = page_log2 == 0
    kind = bytes([is_64 << 2 | small << 3]) + encode.unsigned(0) + (b"\x00" if small else b"")
    code = (b"\x02\x40\x03\x40" + encode.local_get(0) + const + b"\x07" + bytes([add]) + b"\x3f\x00" + const +
            bytes([page_log2, shift, at_end]) + b"\x0d\x01" +
            encode.local_get(1) + encode.local_get(0) + b"\x29\x00\x00\x85" + encode.constant(0x7e, 0x4f1bbcdcbfa53e0b) + b"\x7e" +
            encode.constant(0x7e, 29) + b"\x89\x21\x01" + encode.local_get(0) + const + b"\x08" + bytes([add]) +
            b"\x21\x00\x0c\x00\x0b\x0b" + encode.local_get(1))
    field = encode.unsigned(len(name.encode())) + name.encode()
    return encode.module(types=[encode.function_type([], [0x7e])], imports=[encode.name("x") + field + b"\x02" + kind],
                         functions=[encode.unsigned(0)], exports=[encode.name("sum") + b"\x00\x00"],
                         code=[encode.body(code, [address, 0x7e])])


class Oracle:
    def __init__(self, folder):
        self.folder, self.commands, self.left_out = folder, [], collections.Counter()
        config = wasmtime.Config()
        for feature in FEATURES:
            setattr(config, f"wasm_{feature}", True)
        self.engine = wasmtime.Engine(config)

    def add(self, number, kind, **more):
        self.commands.append({"type": kind, "line": number, **more})

    def call(self, store, number, module, field, function, kinds, values):
        action = {"type": "invoke", "module": module, "field": field,
                  "args": [constant(kind, value) for kind, value in zip(kinds[0], values)]}
        try:
            results = function(store, *values)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            if "thrown Wasm exception" in str(error):
                self.add(number, "assert_exception", action=action)
                return
            try:
                words = trap_words(error)
            except Exhausted:
                self.add(number, "attempt", action=action)
                raise
            if words is None:
                self.add(number, "assert_exception", action=action)
            else:
                self.add(number, "assert_trap", action=action, text=words)
            return
        results = [] if len(kinds[1]) == 0 else results if len(kinds[1]) > 1 else [results]
        if any(is_nan(value) for value in results):
            self.add(number, "action", action=action)
        else:
            self.add(number, "assert_return", action=action,
                     expected=[constant(kind, value) for kind, value in zip(kinds[1], results)])

    def check_function(self, store, number, field, function, types):
        kinds = types.function(field)
        if None in kinds[0] + kinds[1]:
            raise LeftOut("function of a type that Python does not have")
        for values in CALLS if kinds[0] else CALLS[2:]:
            self.call(store, number, f"${number}", field, function, kinds, [values[name] for name in kinds[0]])

    def check_memory(self, store, number, index, field, memory):
        kind = memory.type(store)
        data = checksum_module(field, kind.is_64, kind.page_size_log2)
        filename = f"{number}.{index}.wasm"
        with open(f"{self.folder}/{filename}", "wb") as file:
            file.write(data)
        checker = wasmtime.Instance(store, wasmtime.Module(self.engine, data), [memory])
        self.add(number, "register", name=f"${number}", **{"as": "x"})
        self.add(number, "module", filename=filename)
        self.call(store, number, None, "sum", checker.exports(store)["sum"], ([], ["i64"]), [])

    def check_module(self, number):
        filename = f"{number}.wasm"
        with open(f"{self.folder}/{filename}", "rb") as file:
            data = file.read()
        if b"\xfe\x01" in data or b"\xfe\x02" in data:
            raise LeftOut("may wait forever")
        store = wasmtime.Store(self.engine)
        store.set_limits(memory_size=MEMORY_BYTES)
        types = Types(data)
        try:
            module = wasmtime.Module(self.engine, data)
        except wasmtime.WasmtimeError as error:
            print(f"{number}: {str(error)[:300]}")
            raise LeftOut("wasmtime cannot compile it") from error
        try:
            instance = wasmtime.Instance(store, module, [])
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            try:
                words = "" if "thrown Wasm exception" in str(error) else trap_words(error)
            except Exhausted:
                self.add(number, "attempt_module", filename=filename)
                raise
            self.add(number, "assert_uninstantiable", filename=filename, text=words or "")
            return
        self.add(number, "module", filename=filename, name=f"${number}")
        exports = list(instance.exports(store).items())
        for wanted in (wasmtime.Func, wasmtime.Memory):
            for index, (field, item) in enumerate(exports):
                if not isinstance(item, wanted):
                    continue
                try:
                    if wanted is wasmtime.Func:
                        self.check_function(store, number, field, item, types)
                    else:
                        self.check_memory(store, number, index, field, item)
                except Exhausted:
                    raise
                except LeftOut as reason:
                    self.left_out[str(reason)] += 1


def main():
    folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    oracle = Oracle(folder)
    for number in range(first, first + count):
        if os.path.exists(f"{folder}/{number}.wasm"):
            try:
                oracle.check_module(number)
            except LeftOut as reason:
                oracle.left_out[str(reason)] += 1
    with open(f"{folder}/{os.path.basename(folder)}.json", "w", encoding="utf-8") as file:
        json.dump({"commands": oracle.commands}, file)
    traps = sum(row["type"] == "assert_trap" for row in oracle.commands)
    print(json.dumps({"commands": len(oracle.commands), "traps": traps, "left_out": oracle.left_out}))


main()
