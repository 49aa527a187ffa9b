#!/usr/bin/env python3
"""Modules of vector instructions in any order: vectors.py FOLDER COUNT SEED writes FOLDER/N.wasm.

Each has functions that take and give vectors, and "f", which gives 256 bits of all that was computed as four i64. Lanes that
are NaN become 0 directly behind what made them, so every engine must agree on every bit. Operands come from what the
stack has, from locals (few or many) and constants; memory, globals, branches, loops and calls lie in between."""
import os
import random
import re
import struct
import sys

from encode import F32, F64, FUNCTION, I32, I64, V128, body, constant, function_type, limits, local_get, module, name, unsigned

KINDS = {"i": I32, "I": I64, "f": F32, "F": F64, "v": V128}
ROW = re.compile(r'OPCODE\((0xfd|0), \w+, (0x[0-9a-f]+), "([^"]+)", (\w+), (\w+), (\d+), (\w+)\)')
SCALAR = {"i32.add", "i32.xor", "i64.add", "i32.eqz", "i32.shl", "i64.xor"}
FLOATS = [0.0, -0.0, 1.5, -2.5, 0.5, float("inf"), -float("inf"), float("nan"), 3e9, -3e9, 1e20, 4294967295.0, 2147483648.0]
LOCAL_SET, LOCAL_TEE, GLOBAL_GET, GLOBAL_SET, DROP = b"\x21", b"\x22", b"\x23", b"\x24", b"\x1a"
GLOBALS = 3


def vector_code(code):
    return b"\xfd" + unsigned(code)


I64X2_EXTRACT, F32X4_EQ, F64X2_EQ, AND, XOR, SHL_64, ADD_64 = map(vector_code, (0x1d, 0x41, 0x47, 0x4e, 0x51, 0xcb, 0xce))


def read_table():
    """(code, mnemonic, immediate, operands, results, bytes) of what is used."""
    rows = []
    with open("engine/opcodes.def", encoding="utf-8") as file:
        for prefix, code, mnemonic, immediate, signature, width, feature in ROW.findall(file.read()):
            if feature == "SIMD" or (prefix == "0" and mnemonic in SCALAR):
                encoded = vector_code(int(code, 16)) if prefix == "0xfd" else bytes([int(code, 16)])
                rows.append((encoded, mnemonic, immediate, *signature.split("_"), int(width)))
    return rows


class Function:
    def __init__(self, choose, table, callees, parameters, results):
        self.choose, self.table, self.callees, self.results = choose, table, callees, results
        self.parameters = parameters
        self.locals = parameters + "".join(choose.choice("vvvvviIfF") for _ in range(choose.choice([3, 8, 20, 30])))
        self.usable = len(self.locals)
        self.spare = {kind: self.usable + number for number, kind in enumerate("viIfF")}
        self.counter = self.usable + 5
        self.code, self.stack, self.depth = b"", "", 0

    def emit(self, *parts):
        self.code += b"".join(parts)

    # ---- Operands ----
    def bits(self, kind):
        choose = self.choose
        if kind in "iI":
            width = 32 if kind == "i" else 64
            return choose.choice([0, 1, 7, 8, 31, 33, 63, 2**width - 1, choose.getrandbits(width)])
        if kind == "f":
            return struct.unpack("<I", struct.pack("<f", choose.choice([0.0, -0.0, 1.5, -7.25, 1e10])))[0]
        if kind == "F":
            return struct.unpack("<Q", struct.pack("<d", choose.choice([0.0, -0.0, 1.5, -7.25, 1e10])))[0]
        data = choose.choice([
            bytes(16), b"\xff" * 16, choose.randbytes(16), choose.randbytes(16),
            bytes(choose.choice([0, 1, 0x0f, 0x7f, 0x80, 0xff]) for _ in range(16)),
            struct.pack("<4f", *choose.choices(FLOATS, k=4)), struct.pack("<2d", *choose.choices(FLOATS, k=2))])
        return int.from_bytes(data, "little")

    def supply(self, kind):
        candidates = [index for index in range(self.usable) if self.locals[index] == kind]
        if candidates and self.choose.random() < 0.8:
            self.emit(local_get(self.choose.choice(candidates)))
        else:
            self.emit(constant(KINDS[kind], self.bits(kind)))
        self.stack += kind

    def need(self, kinds):
        """Make the stack end with these kinds, with what is there as far as it fits."""
        present = next(count for count in range(len(kinds), -1, -1) if self.stack.endswith(kinds[:count]))
        for kind in kinds[present:]:
            self.supply(kind)

    def replace(self, operands, results):
        self.stack = self.stack[:len(self.stack) - len(operands)] + results

    # ---- Instructions ----
    def shuffle(self):
        choose, width = self.choose, self.choose.choice([1, 2, 4, 8])
        start, other = choose.randrange(32), choose.choice([0, 16])
        lanes = choose.choice([
            [choose.randrange(32) for _ in range(16)],
            [(start + i) % 32 for i in range(16)],
            [i + 16 * choose.randrange(2) for i in range(16)],
            [start // width * width + i % width for i in range(16)],
            [lane * width + i for lane in choose.choices(range(32 // width), k=16 // width) for i in range(width)],
            [(start & 8) + i // width // 2 * width + i % width + (other if i // width % 2 else 16 - other) for i in range(16)]])
        mask = choose.choice([31, 31, 31, 15])
        return bytes(lane & mask for lane in lanes)

    def operation(self):
        code, mnemonic, immediate, operands, results, width = self.choose.choice(self.table)
        if mnemonic == "v128.const":
            self.emit(constant(V128, self.bits("v")))
        elif "MEMORY" in immediate:
            self.supply("i")
            self.emit(constant(I32, self.choose.choice([0xff, 0x7f0, 0x3fff])), b"\x71")
            for kind in operands[1:]:
                self.supply(kind)
            self.emit(code, bytes([self.choose.randrange(width.bit_length())]), unsigned(self.choose.choice([0, 16, 4000])))
            if "LANE" in immediate:
                self.emit(bytes([self.choose.randrange(16 // width)]))
        else:
            self.need(operands)
            self.emit(code)
            if immediate == "SHUFFLE":
                self.emit(self.shuffle())
            elif immediate == "LANE":
                lanes = int(re.match(r"\w\d+x(\d+)", mnemonic).group(1))
                self.emit(bytes([self.choose.randrange(lanes)]))
        self.replace(operands, results)
        if results == "v" and mnemonic[0] == "f" and not mnemonic.endswith(("splat", "lane")):
            same = local_get(self.spare["v"])
            self.emit(LOCAL_TEE, unsigned(self.spare["v"]), same, same, F32X4_EQ if mnemonic[1] == "3" else F64X2_EQ, AND)

    def keep(self):
        candidates = [index for index in range(self.usable) if self.stack.endswith(self.locals[index])]
        if not self.stack or not candidates:
            return
        tee = self.choose.random() < 0.4
        self.emit(LOCAL_TEE if tee else LOCAL_SET, unsigned(self.choose.choice(candidates)))
        self.stack = self.stack if tee else self.stack[:-1]

    def branch(self):
        """if with a result."""
        kind, outer = self.choose.choice("vvi"), self.stack
        if self.depth == 3:
            return
        self.supply("i")
        self.emit(b"\x04", bytes([KINDS[kind]]))
        self.depth += 1
        for end in (b"\x05", b"\x0b"):
            self.stack = ""
            self.steps(self.choose.randrange(6))
            self.supply(kind)
            spare = unsigned(self.spare[kind])
            self.emit(LOCAL_SET, spare, DROP * (len(self.stack) - 1), b"\x20", spare, end)
        self.depth -= 1
        self.stack = outer + kind

    def call(self):
        if self.callees:
            number = self.choose.randrange(len(self.callees))
            callee = self.callees[number]
            self.need(callee.parameters)
            self.emit(b"\x10", unsigned(number))
            self.replace(callee.parameters, callee.results)

    def select(self):
        kind = self.choose.choice("vvifFI")
        for operand in (kind, kind, "i"):
            self.supply(operand)
        self.emit(b"\x1c\x01", bytes([KINDS[kind]]))
        self.replace(kind * 2 + "i", kind)

    def use_global(self):
        number = unsigned(self.choose.randrange(GLOBALS))
        if self.choose.random() < 0.5:
            self.need("v")
            self.emit(GLOBAL_SET, number)
            self.stack = self.stack[:-1]
        else:
            self.emit(GLOBAL_GET, number)
            self.stack += "v"

    def steps(self, count):
        actions = [self.operation, self.keep, self.select, self.branch, self.call, self.use_global]
        for _ in range(count):
            self.choose.choices(actions, [70, 18, 3, 2, 3, 4])[0]()

    # ---- The whole ----
    def make(self):
        for index in range(len(self.parameters), self.usable):
            if self.choose.random() < 0.5:
                self.emit(constant(KINDS[self.locals[index]], self.bits(self.locals[index])), LOCAL_SET, unsigned(index))
        loops = self.choose.random() < 0.3
        if loops:
            self.emit(constant(I32, 3), LOCAL_SET, unsigned(self.counter), b"\x03\x40")
        self.steps(self.choose.choice([10, 40, 120]))
        for kind in reversed(self.stack):
            self.emit(LOCAL_SET, unsigned(self.spare[kind]))
            if kind == "v":
                self.emit(local_get(self.spare["v"]), GLOBAL_GET, b"\x00", ADD_64, GLOBAL_SET, b"\x00")
        if loops:
            counter = unsigned(self.counter)
            self.emit(b"\x20", counter, constant(I32, 1), b"\x6b", LOCAL_TEE, counter, b"\x0d\x00\x0b")
        if self.callees is not None and self.results == "IIII":
            self.digest()
        else:
            self.stack = ""
            for kind in self.results:
                self.supply(kind)
        kinds = self.locals[len(self.parameters):] + "viIfFi"
        return body(self.code, [KINDS[kind] for kind in kinds])

    def digest(self):
        self.emit(GLOBAL_GET, b"\x00")
        for index in range(self.usable):
            if self.locals[index] == "v":
                self.emit(local_get(index), ADD_64, constant(I32, 7), SHL_64, local_get(index), XOR)
        spare = unsigned(self.spare["v"])
        self.emit(LOCAL_SET, spare)
        for lane in (b"\x00", b"\x01"):
            self.emit(b"\x20", spare, I64X2_EXTRACT, lane, GLOBAL_GET, b"\x01", I64X2_EXTRACT, lane)


def make(choose, table):
    functions = []
    for number in range(choose.randrange(1, 4), -1, -1):
        parameters = "".join(choose.choices("vvviIfF", k=choose.choice([0, 1, 2, 3, 12]))) if number else ""
        results = "".join(choose.choices("vvi", k=choose.choice([1, 1, 2, 4]))) if number else "IIII"
        functions.append(Function(choose, table, functions[:], parameters, results))
    data = choose.randbytes(2048)
    kinds = [([KINDS[kind] for kind in function.parameters], [KINDS[kind] for kind in function.results])
             for function in functions]
    return module(types=[function_type(*pair) for pair in kinds], functions=[unsigned(i) for i in range(len(functions))],
                  memories=[limits(1)],
                  globals=[bytes([V128, 1]) + constant(V128, choose.getrandbits(128)) + b"\x0b" for _ in range(GLOBALS)],
                  exports=[name("f") + bytes([FUNCTION]) + unsigned(len(functions) - 1)],
                  code=[function.make() for function in functions],
                  data=[b"\x00" + constant(I32, 0) + b"\x0b" + unsigned(len(data)) + data])


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    table = read_table()
    os.makedirs(folder, exist_ok=True)
    for number in range(count):
        with open(f"{folder}/{number}.wasm", "wb") as file:
            file.write(make(random.Random(f"vectors {seed} {number}"), table))


main()
