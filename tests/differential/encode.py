"""Just enough of the binary format to write modules (spec chapter 5)."""
import struct

I32, I64, F32, F64, V128, FUNCREF = 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70
NAMES = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}
FUNCTION, TABLE, MEMORY = 0, 1, 2
END = b"\x0b"


def unsigned(value):
    data = b""
    while True:
        byte, value = value & 0x7f, value >> 7
        data += bytes([byte | (0x80 if value else 0)])
        if not value:
            return data


def signed(value):
    data = b""
    while True:
        byte, value = value & 0x7f, value >> 7
        done = (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40)
        data += bytes([byte | (0 if done else 0x80)])
        if done:
            return data


def as_signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def constant(kind, bits):
    """The instruction that pushes this bit pattern."""
    if kind == I32:
        return b"\x41" + signed(as_signed(bits, 32))
    if kind == I64:
        return b"\x42" + signed(as_signed(bits, 64))
    if kind == V128:
        return b"\xfd\x0c" + bits.to_bytes(16, "little")
    return b"\x43" + struct.pack("<I", bits) if kind == F32 else b"\x44" + struct.pack("<Q", bits)


def local_get(index):
    return b"\x20" + unsigned(index)


def vector(items):
    return unsigned(len(items)) + b"".join(items)


def name(text):
    return vector([bytes([byte]) for byte in text.encode()])


def function_type(parameters, results):
    return b"\x60" + vector([bytes([kind]) for kind in parameters]) + vector([bytes([kind]) for kind in results])


def limits(minimum, maximum=None, is_64=False, byte_pages=False):
    flags = (maximum is not None) | is_64 << 2 | byte_pages << 3
    return (bytes([flags]) + unsigned(minimum) + (unsigned(maximum) if maximum is not None else b"") +
            (b"\x00" if byte_pages else b""))


def body(code, local_kinds=()):
    data = vector([b"\x01" + bytes([kind]) for kind in local_kinds]) + code + END
    return unsigned(len(data)) + data


def module(**sections):
    """Sections by name, each a list of encoded items."""
    order = ["types", "imports", "functions", "tables", "memories", "globals", "exports", None, "elements", "code", "data"]
    data = b"\0asm\x01\0\0\0"
    for identifier, section in enumerate(order, 1):
        items = sections.get(section) if section else None
        if section == "code" and sections.get("data"):
            count = unsigned(len(sections["data"]))
            data += b"\x0c" + unsigned(len(count)) + count
        if items:
            contents = vector(items)
            data += bytes([identifier]) + unsigned(len(contents)) + contents
    return data


def value(kind, bits):
    """A constant or an expectation in a script."""
    if kind == V128:
        lanes = [bits & (1 << 64) - 1, bits >> 64]
        return {"type": "v128", "lane_type": "i64", "value": list(map(str, lanes))}
    return {"type": NAMES[kind], "value": str(bits)}
