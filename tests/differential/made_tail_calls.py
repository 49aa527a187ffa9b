"""Chains of tail calls against a model: functions with random parameters, spread over two instances, which hand their
arguments on in another order and number until a counter is 0, directly, as imports, by reference, and through a table."""
import struct

from encode import (F32, F64, FUNCREF, FUNCTION, I32, I64, TABLE, V128, body, constant, function_type, limits, local_get,
                    module, name, unsigned, value)

KINDS = [I32, I32, I64, I64, F32, F64, V128]
FUNCTIONS = 12


def random_bits(random, kind):
    if kind in (F32, F64):
        return int.from_bytes(struct.pack("<f" if kind == F32 else "<d", random.randrange(-1000, 1000) / 4), "little")
    return random.getrandbits({I32: 32, I64: 64, V128: 128}[kind])


class Link:
    """A function: its results when the counter is 0, and otherwise whom it calls with what."""

    def __init__(self, random, results):
        count = random.choice([0, 1, 3, 6, 8, 12, 20, 40])
        self.parameters = [random.choice(KINDS) for _ in range(count)]
        self.counter = random.randrange(count + 1)
        self.parameters.insert(self.counter, I32)
        self.results = [self.source(random, kind) for kind in results]
        self.has_call = random.random() < 0.4

    def source(self, random, kind):
        """A parameter's number, or a constant as (kind, bits)."""
        fitting = [i for i, own in enumerate(self.parameters) if own == kind and i != self.counter]
        return random.choice(fitting) if fitting and random.random() < 0.9 else (kind, random_bits(random, kind))

    def connect(self, random, target):
        self.target = target
        self.arguments = [self.source(random, kind) for kind in target.parameters]

    def run(self, values):
        """Either results, or None and the next call's arguments."""
        def read(source):
            return values[source] if isinstance(source, int) else source[1]
        if values[self.counter] == 0:
            return [read(source) for source in self.results], None
        arguments = [read(source) for source in self.arguments]
        arguments[self.target.counter] = values[self.counter] - 1
        return None, arguments

    def code(self, call):
        """`call` is the tail call's instruction, its table index included."""
        def push(source):
            return local_get(source) if isinstance(source, int) else constant(*source)
        code = b""
        if self.has_call:  # a frame, and values that live over a call
            code += local_get(self.counter) + b"\x10\x00" + b"\x1a"
        code += local_get(self.counter) + b"\x45\x04\x40" + b"".join(map(push, self.results)) + b"\x0f\x0b"
        for i, source in enumerate(self.arguments):
            if i == self.target.counter:
                code += local_get(self.counter) + constant(I32, 1) + b"\x6b"
            else:
                code += push(source)
        return code + call


def encode_side(links, side, results, imported):
    """The module of one side. Function 0 is a helper; the other side's functions are imports of the first side only."""
    types = [function_type([I32], [I32])] + [function_type(link.parameters, results) for link in links]
    own = [i for i, link in enumerate(links) if link.side == side]
    imports, numbers = [], {}
    if imported:
        imports.append(name("b") + name("table") + bytes([TABLE, FUNCREF]) + limits(len(links)))
        imports.append(name("b") + name("helper") + bytes([FUNCTION]) + unsigned(0))
        for i, link in enumerate(links):
            if link.side != side:
                numbers[i] = len(numbers) + 1
                imports.append(name("b") + name(f"f{i}") + bytes([FUNCTION]) + unsigned(i + 1))
    base = len(numbers) + 1
    for i in own:
        numbers[i] = base + own.index(i)
    code = [] if imported else [body(local_get(0))]
    for i in own:
        link, target = links[i], links[i].target
        number = links.index(target)
        if number in own and link.how == "reference":
            call = b"\xd2" + unsigned(numbers[number]) + b"\x15" + unsigned(number + 1)
        elif number in numbers and link.how != "table":
            call = b"\x12" + unsigned(numbers[number])
        else:
            call = constant(I32, number) + b"\x13" + unsigned(number + 1) + b"\x00"
        code.append(body(link.code(call)))
    return module(
        types=types, imports=imports,
        functions=([] if imported else [unsigned(0)]) + [unsigned(i + 1) for i in own],
        tables=[] if imported else [bytes([FUNCREF]) + limits(len(links))],
        exports=[name(f"f{i}") + bytes([FUNCTION]) + unsigned(numbers[i]) for i in own] +
        ([] if imported else [name("table") + bytes([TABLE]) + b"\x00", name("helper") + bytes([FUNCTION]) + b"\x00"]),
        elements=[b"\x00" + constant(I32, i) + b"\x0b\x01" + unsigned(numbers[i]) for i in own],
        code=code)


def make(random, line):
    results = [random.choice(KINDS) for _ in range(random.choice([0, 1, 1, 2, 3, 8]))]
    links = [Link(random, results) for _ in range(FUNCTIONS)]
    for link in links:
        link.side, link.how = random.choice("ab"), random.choice(["direct", "direct", "table", "table", "reference"])
        link.connect(random, random.choice(links))
    commands = []
    for number, link in enumerate(links):
        for count in (0, 1, 2, 7, random.choice([100, 100, 100, 10000])):
            values = [random_bits(random, kind) for kind in link.parameters]
            values[link.counter] = count
            action = {"type": "invoke", "module": "$" + link.side, "field": f"f{number}",
                      "args": list(map(value, link.parameters, values))}
            at, outcome = link, None
            while outcome is None:
                outcome, values = at.run(values)
                at = at.target
            commands.append({"type": "assert_return", "line": line, "action": action,
                             "expected": list(map(value, results, outcome))})
    return [("b", encode_side(links, "b", results, False)), ("a", encode_side(links, "a", results, True))], commands
