"""Accesses to memories of every kind, against a model: a module with some memories of 32 and 64 bits and both page sizes,
functions that access them in the shapes that the compiler treats differently, and calls with addresses near every
border."""
from encode import (F32, F64, FUNCTION, I32, I64, V128, as_signed, body, constant, function_type, limits, local_get, module,
                    name, unsigned, value)

# opcode, type, bytes, signed
LOADS = [(0x28, I32, 4, 0), (0x29, I64, 8, 0), (0x2a, F32, 4, 0), (0x2b, F64, 8, 0), (0x2c, I32, 1, 1), (0x2d, I32, 1, 0),
         (0x2e, I32, 2, 1), (0x2f, I32, 2, 0), (0x30, I64, 1, 1), (0x31, I64, 1, 0), (0x32, I64, 2, 1), (0x33, I64, 2, 0),
         (0x34, I64, 4, 1), (0x35, I64, 4, 0), (0xfd00, V128, 16, 0), (0xfd5c, V128, 4, 0), (0xfd5d, V128, 8, 0)]
STORES = [(0x36, I32, 4), (0x37, I64, 8), (0x38, F32, 4), (0x39, F64, 8), (0x3a, I32, 1), (0x3b, I32, 2), (0x3c, I64, 1),
          (0x3d, I64, 2), (0x3e, I64, 4), (0xfd0b, V128, 16)]
WIDTH = {I32: 32, I64: 64, F32: 32, F64: 64, V128: 128}
TRAP = "out of bounds memory access"


def instruction(opcode):
    return bytes([opcode]) if opcode < 0x100 else bytes([opcode >> 8]) + unsigned(opcode & 0xff)


class Memory:
    def __init__(self, random):
        self.is_64, self.byte_pages = random.random() < 0.5, random.random() < 0.4
        self.address = I64 if self.is_64 else I32
        self.page = 1 if self.byte_pages else 65536
        pages = random.choice([0, 1, 1, 2]) if not self.byte_pages else random.choice([0, 1, 100, 4095, 4096, 4097, 70000])
        self.maximum = pages + (random.randrange(3) if not self.byte_pages else random.randrange(10000))
        self.minimum = pages
        self.data = bytearray(pages * self.page)

    def encoded(self):
        return limits(self.minimum, self.maximum, self.is_64, self.byte_pages)

    def range(self, start, count):
        """The slice, or None when it is not inside."""
        return slice(start, start + count) if start + count <= len(self.data) else None

    def grow(self, pages):
        old = len(self.data) // self.page
        if old + pages > self.maximum:
            return (1 << WIDTH[self.address]) - 1
        self.data += bytes(pages * self.page)
        return old


class Made:
    def __init__(self, random):
        self.random = random
        self.memories = [Memory(random) for _ in range(random.randrange(1, 4))]
        self.segments = [random.randbytes(random.randrange(0, 300)) for _ in range(2)]
        self.functions = []  # (parameter types, result types, code, model)

    # ---- Functions ----
    def pick_memory(self):
        index = self.random.randrange(len(self.memories))
        return index, self.memories[index]

    def pick_offset(self, memory, width):
        size, random = len(memory.data), self.random
        choices = [0, 0, random.randrange(64), max(size - width, 0), size, random.randrange(size + 16), (1 << 31) - 1, 1 << 31,
                   (1 << 31) - width, (1 << 32) - 1, (1 << 32) - width]
        if memory.is_64:
            choices += [1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - width, (1 << 64) - size - width]
        return random.choice(choices) & ((1 << 64 if memory.is_64 else 1 << 32) - 1)

    def pick_address(self, memory, offset, width):
        size, random, bits = len(memory.data), self.random, WIDTH[memory.address]
        near = size - offset - width
        return random.choice([0, near, near, near + 1, near - 1, size, size - 1, random.randrange(size + 1), -1, -width,
                              -offset, -offset - width, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 33, 1 << 62, 1 << 63,
                              random.getrandbits(bits)]) & ((1 << bits) - 1)

    def address_code(self, memory, offset, width):
        """How the address is made of the first two parameters, of the memory's address type: code and model."""
        bits = WIDTH[memory.address]
        mask, add, shift, conjunction = ((1 << bits) - 1, b"\x6a", b"\x74", b"\x71") if bits == 32 else \
            ((1 << bits) - 1, b"\x7c", b"\x86", b"\x83")
        shape = self.random.randrange(6)
        if shape == 0:
            fixed = self.pick_address(memory, offset, width)
            return constant(memory.address, fixed), lambda a, b: fixed
        if shape == 1:
            added = self.random.choice([4, 100, mask, 1 << 31])
            return (local_get(0) + constant(memory.address, added) + add), lambda a, b: (a + added) & mask
        if shape == 2:
            small, scale = self.random.choice([0xff, 0xffff]), self.random.randrange(4)
            return (local_get(0) + local_get(1) + constant(memory.address, small) + conjunction +
                    constant(memory.address, scale) + shift + add), lambda a, b: (a + ((b & small) << scale)) & mask
        if shape == 3:
            small, scale = self.random.choice([0xff, 0xffff]), self.random.randrange(4)
            return (local_get(1) + constant(memory.address, small) + conjunction + constant(memory.address, scale) + shift), \
                lambda a, b: (b & small) << scale
        return local_get(0), lambda a, b: a

    def argument(self, alignment, index, offset):
        flags = unsigned(alignment | (0x40 if index else 0))
        return flags + (unsigned(index) if index else b"") + unsigned(offset)

    def add_load(self):
        opcode, kind, width, is_signed = self.random.choice(LOADS)
        index, memory = self.pick_memory()
        offset = self.pick_offset(memory, width)
        code, address = self.address_code(memory, offset, width)
        code += instruction(opcode) + self.argument(0, index, offset)
        combine = self.random.random() < 0.4 and kind in (I32, I64)
        if combine:
            code = local_get(2) + code + (b"\x73" if kind == I32 else b"\x85")

        def model(a, b, c):
            place = memory.range(address(a, b) + offset, width)
            if place is None:
                return None
            bits = int.from_bytes(memory.data[place], "little")
            if is_signed:
                bits = as_signed(bits, 8 * width) & ((1 << WIDTH[kind]) - 1)
            return bits ^ c if combine else bits
        self.functions.append(([memory.address, memory.address, kind], [kind], code, model, (memory, offset, width)))

    def add_store(self):
        opcode, kind, width = self.random.choice(STORES)
        index, memory = self.pick_memory()
        offset = self.pick_offset(memory, width)
        code, address = self.address_code(memory, offset, width)
        fixed = self.random.getrandbits(WIDTH[kind]) if self.random.random() < 0.3 else None
        code += local_get(2) if fixed is None else constant(kind, fixed)
        code += instruction(opcode) + self.argument(0, index, offset)

        def model(a, b, c):
            place = memory.range(address(a, b) + offset, width)
            if place is None:
                return None
            bits = c if fixed is None else fixed
            memory.data[place] = (bits & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            return ()
        self.functions.append(([memory.address, memory.address, kind], [], code, model, (memory, offset, width)))

    def add_size(self):
        index, memory = self.pick_memory()
        self.functions.append(([], [memory.address], b"\x3f" + unsigned(index), lambda: len(memory.data) // memory.page,
                               None))

    def add_grow(self):
        index, memory = self.pick_memory()
        pages = self.random.choice([0, 1, 1, 2]) if not memory.byte_pages else self.random.randrange(3000)
        code = constant(memory.address, pages) + b"\x40" + unsigned(index)
        self.functions.append(([], [memory.address], code, lambda: memory.grow(pages), None))

    def add_fill(self):
        index, memory = self.pick_memory()
        code = local_get(0) + local_get(2) + local_get(1) + b"\xfc\x0b" + unsigned(index)

        def model(address, count, byte):
            place = memory.range(address, count)
            if place is None:
                return None
            memory.data[place] = bytes([byte & 0xff]) * count
            return ()
        self.functions.append(([memory.address, memory.address, I32], [], code, model, (memory, 0, 200)))

    def add_copy(self):
        to_index, to = self.pick_memory()
        from_index, source = self.pick_memory()
        count_type = I64 if to.is_64 and source.is_64 else I32
        code = (local_get(0) + local_get(1) + local_get(2) + b"\xfc\x0a" + unsigned(to_index) + unsigned(from_index))

        def model(a, b, count):
            target, place = to.range(a, count), source.range(b, count)
            if target is None or place is None:
                return None
            to.data[target] = bytes(source.data[place])
            return ()
        self.functions.append(([to.address, source.address, count_type], [], code, model, (to, 0, 300, source)))

    def add_init(self):
        index, memory = self.pick_memory()
        segment = self.random.randrange(len(self.segments))
        code = (local_get(0) + local_get(1) + local_get(2) + b"\xfc\x08" + unsigned(segment) + unsigned(index))

        def model(to, start, count):
            place, data = memory.range(to, count), self.segments[segment]
            if place is None or start + count > len(data):
                return None
            memory.data[place] = data[start:start + count]
            return ()
        self.functions.append(([memory.address, I32, I32], [], code, model, (memory, 0, 100)))

    # ---- The module and the calls ----
    def encoded(self):
        types = [function_type(parameters, results) for parameters, results, *_ in self.functions]
        return module(
            types=types, functions=[unsigned(i) for i in range(len(types))],
            memories=[memory.encoded() for memory in self.memories],
            exports=[name(f"f{i}") + bytes([FUNCTION]) + unsigned(i) for i in range(len(types))],
            code=[body(code) for _, _, code, *_ in self.functions],
            data=[b"\x01" + unsigned(len(segment)) + segment for segment in self.segments])

    def arguments(self, parameters, near):
        random = self.random
        if not parameters:
            return []
        if near is None:
            return [random.getrandbits(WIDTH[kind]) for kind in parameters]
        memory, offset, width = near[:3]
        first = self.pick_address(memory, offset, width)
        if len(near) == 4:  # a copy
            return [first, self.pick_address(near[3], 0, width), random.choice([0, 1, 10, width, width + 1])]
        if parameters[1] != memory.address:  # memory.init
            return [first, random.randrange(0, 120), random.choice([0, 1, 10, width, 500])]
        second = self.pick_address(memory, offset, width) if width != 200 else random.choice([0, 1, 10, 200, 201, 4096])
        return [first, second, random.getrandbits(WIDTH[parameters[2]])]


def make(random, line):
    made = Made(random)
    kinds = [made.add_load] * 14 + [made.add_store] * 10 + [made.add_size, made.add_grow, made.add_fill, made.add_copy,
                                                             made.add_init]
    for _ in range(60):
        random.choice(kinds)()
    commands = []
    for _ in range(400):
        number = random.randrange(len(made.functions))
        parameters, results, _, model, near = made.functions[number]
        arguments = made.arguments(parameters, near)
        arguments = [argument & ((1 << WIDTH[kind]) - 1) for kind, argument in zip(parameters, arguments)]
        action = {"type": "invoke", "field": f"f{number}", "args": list(map(value, parameters, arguments))}
        result = model(*arguments)
        if result is None:
            commands.append({"type": "assert_trap", "line": line, "action": action, "text": TRAP})
        else:
            expected = [value(results[0], result)] if results else []
            commands.append({"type": "assert_return", "line": line, "action": action, "expected": expected})
    return [(None, made.encoded())], commands
