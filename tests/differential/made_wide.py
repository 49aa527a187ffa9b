"""Sums, differences and products of 128 bits against Python's: functions with few and with many live values."""
from encode import FUNCTION, I64, body, constant, function_type, local_get, module, name, unsigned, value

MASK = (1 << 64) - 1
ADD, SUB, MUL_S, MUL_U = 0x13, 0x14, 0x15, 0x16
LOCALS = 12


def signed(bits):
    return bits - (1 << 64) if bits >> 63 else bits


def compute(operation, values):
    if operation in (ADD, SUB):
        low, high, other_low, other_high = values
        a, b = high << 64 | low, other_high << 64 | other_low
        result = a + b if operation == ADD else a - b
    else:
        a, b = values
        result = signed(a) * signed(b) if operation == MUL_S else a * b
    return [result & MASK, result >> 64 & MASK]


def expression(random, depth):
    """Code that pushes one value, and its model."""
    if depth == 0 or random.random() < 0.3:
        if random.random() < 0.2:
            bits = random.choice([0, 1, MASK, 1 << 63, random.getrandbits(64), random.getrandbits(31)])
            return constant(I64, bits), lambda values: bits
        index = random.randrange(LOCALS)
        return local_get(index), lambda values: values[index]
    code, model = wide(random, depth - 1)
    if random.random() < 0.5:
        return code + b"\x85", lambda values: model(values)[0] ^ model(values)[1]
    return code + b"\x1a", lambda values: model(values)[0]


def wide(random, depth):
    """Code that pushes two values."""
    operation = random.choice([ADD, SUB, MUL_S, MUL_U])
    parts = [expression(random, depth) for _ in range(4 if operation in (ADD, SUB) else 2)]
    return b"".join(code for code, _ in parts) + bytes([0xfc, operation]), \
        lambda values: compute(operation, [model(values) for _, model in parts])


def make(random, line):
    made = [wide(random, random.randrange(5)) for _ in range(20)]
    if random.random() < 0.5:  # locals that are used often, so that they take registers
        use = b"".join(local_get(i) + local_get(i) + b"\x7c\x21" + unsigned(i) for i in range(LOCALS))
        made = [(use + code, lambda values, model=model: model([value * 2 & MASK for value in values]))
                for code, model in made]
    commands = []
    for number, (_, model) in enumerate(made):
        for _ in range(5):
            values = [random.choice([0, 1, MASK, 1 << 63, random.getrandbits(64)]) for _ in range(LOCALS)]
            action = {"type": "invoke", "field": f"f{number}", "args": [value(I64, bits) for bits in values]}
            commands.append({"type": "assert_return", "line": line, "action": action,
                             "expected": [value(I64, bits) for bits in model(values)]})
    encoded = module(types=[function_type([I64] * LOCALS, [I64, I64])], functions=[b"\x00"] * len(made),
                     exports=[name(f"f{i}") + bytes([FUNCTION]) + unsigned(i) for i in range(len(made))],
                     code=[body(code) for code, _ in made])
    return [(None, encoded)], commands
