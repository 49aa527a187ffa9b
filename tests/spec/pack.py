#!/usr/bin/env python3
"""Pack the official test suite for the runner: pack.py SUITE_FOLDER ARCHIVE [SCRIPT...]

SUITE_FOLDER holds a folder NAME/ for each script, with NAME.json (as written by `wasm-tools json-from-wast` or
wast2json) and the modules that it names. ARCHIVE becomes a boot archive (cpio "newc") with the one file `spec`: all
scripts in the compact form that tests/spec/script.h describes, modules included. With SCRIPTs, only those.
"""
import json
import os
import struct
import sys

HERE = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(HERE, "../support"))
import archive  # noqa: E402

MAGIC = 0x43505354  # "TSPC"
# Both lists stand in tests/spec/script.h in the same order.
COMMANDS = ["module", "module_definition", "module_instance", "register", "action", "assert_return", "assert_trap",
            "assert_exhaustion", "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable",
            "assert_exception", "attempt", "attempt_module", "thread", "wait", "text"]
TYPES = ["i32", "i64", "f32", "f64", "v128", "externref", "funcref", "other", "refnull", "either"]
# Where scripts are, from SUITE_FOLDER; they are called by their path from there.
FOLDERS = [".", "../legacy-eh", "proposals/custom-page-sizes", "proposals/threads", "proposals/wide-arithmetic"]
EXACT, NAN_CANONICAL, NAN_ARITHMETIC, NULL, NOT_NULL = range(5)


def text(value):
    data = (value or "").encode("utf-8", "surrogatepass")
    return struct.pack("<I", len(data)) + data


def lane(value, size):
    """One number: how it is compared, how many bytes it has, its bits."""
    if value == "nan:canonical":
        return struct.pack("<BBQ", NAN_CANONICAL, size, 0)
    if value == "nan:arithmetic":
        return struct.pack("<BBQ", NAN_ARITHMETIC, size, 0)
    return struct.pack("<BBQ", EXACT, size, int(value) & ((1 << (8 * size)) - 1))


def value(item):
    """A constant or an expectation: type, number of parts, parts (lanes, or alternatives)."""
    kind = item["type"]
    code = TYPES.index(kind) if kind in TYPES else TYPES.index("other")
    if kind == "either":
        parts = [value(choice) for choice in item["values"]]
    elif kind == "v128":
        size = 16 // len(item["value"])
        parts = [lane(part, size) for part in item["value"]]
    elif kind in ("i32", "f32"):
        parts = [lane(item["value"], 4)]
    elif kind in ("i64", "f64"):
        parts = [lane(item["value"], 8)]
    elif kind in ("refnull", "nullref", "nullfuncref", "nullexternref", "nullexnref") or item.get("value") == "null":
        parts = [struct.pack("<BBQ", NULL, 4, 0)]
    elif item.get("value") is None:
        parts = [struct.pack("<BBQ", NOT_NULL, 4, 0)]
    else:  # a number of the host's, as engine/x64/abi.h has them
        parts = [lane(int(item["value"]) * 4 + 2, 4)]
    return struct.pack("<BB", code, len(parts)) + b"".join(parts)


def values(items):
    return struct.pack("<I", len(items)) + b"".join(value(item) for item in items)


def action(item):
    invoke = item["type"] == "invoke"
    return (struct.pack("<B", invoke) + text(item.get("module")) + text(item["field"]) +
            values(item.get("args", []) if invoke else []))


def module(folder, command):
    with open(os.path.join(folder, command.get("binary_filename", command["filename"])), "rb") as file:
        data = file.read()
    return struct.pack("<I", len(data)) + data


def encode(folder, command, excuse):
    kind = command["type"]
    if kind.startswith("assert_malformed") and command.get("module_type") == "text":
        body, kind = b"", "text"
    elif kind in ("module", "module_definition"):
        body = text(command.get("name")) + module(folder, command)
    elif kind == "module_instance":
        body = text(command.get("instance")) + text(command.get("module"))
    elif kind == "attempt_module":
        body = module(folder, command)
    elif kind == "register":
        body = text(command.get("name")) + text(command["as"])
    elif kind in ("assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable"):
        body = text(command["text"]) + module(folder, command)
    elif kind in ("action", "assert_return", "assert_trap", "assert_exhaustion", "assert_exception", "attempt"):
        body = action(command["action"])
        if kind == "assert_return":
            body += values(command["expected"])
        elif kind in ("assert_trap", "assert_exhaustion"):
            body += text(command["text"])
    elif kind == "thread":
        body = (text(command.get("name")) + text(command.get("shared_module")) +
                struct.pack("<I", len(command["commands"])) +
                b"".join(encode(folder, item, None) for item in command["commands"]))
    elif kind == "wait":
        body = text(command["thread"])
    else:
        sys.exit(f"pack.py: {folder}: command {kind} at line {command['line']} is not known")
    return struct.pack("<BI", COMMANDS.index(kind), command["line"]) + text(excuse) + struct.pack("<I", len(body)) + body


def excuses():
    """tests/spec/skip as a dictionary: (script, line) -> reason."""
    rows = {}
    with open(os.path.join(HERE, "skip"), encoding="utf-8") as file:
        for row in file:
            if row.strip() and not row.startswith("#"):
                script_name, line, reason = row.strip().split(None, 2)
                rows[script_name, int(line)] = reason
    return rows


def script(suite, name, excused):
    folder = os.path.join(suite, name)
    with open(os.path.join(folder, os.path.basename(name) + ".json"), encoding="utf-8") as file:
        commands = json.load(file)["commands"]
    data = struct.pack("<II", MAGIC, len(commands)) + b"".join(
        encode(folder, item, excused.get((name, item["line"]))) for item in commands)
    return text(name) + struct.pack("<I", len(data)) + data


def scripts_of(suite, folder):
    path = os.path.join(suite, folder)
    names = os.listdir(path) if os.path.isdir(path) else []
    return sorted(os.path.normpath(os.path.join(folder, name)) for name in names
                  if os.path.exists(os.path.join(path, name, name + ".json")))


def main():
    suite, output_path, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    names = wanted or [name for folder in FOLDERS for name in scripts_of(suite, folder)]
    excused = excuses()
    scripts = b"".join(script(suite, name, excused) for name in names)
    with open(output_path + ".new", "wb") as output:
        output.write(archive.cpio([("spec", scripts)]))
    os.replace(output_path + ".new", output_path)


if __name__ == "__main__":
    main()
