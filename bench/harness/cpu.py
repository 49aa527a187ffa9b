"""CPU programs: the compute time that each prints itself, as a ratio to the same program compiled natively.

It is processor time where the engine tells it, else wall time, but never more than the processor time of the process.
"""
import math
import statistics

from . import process, programs

SLOW_ROUNDS = 2


def measure_once(engine, program, options, expected, result):
    """One timed run, entered in `result`; the engine is left out of further rounds when it fails."""
    entry = result["engines"].setdefault(engine.key, {"seconds": [], "disturbed": 0})
    if "failure" in entry:
        return
    try:
        run, thrown_away = process.run_undisturbed(engine.run_command(program, [options.scale]), engine.processor_clock)
        said = process.words(run.output)
        checksum = said["checksum"][0]
        if checksum != (expected or checksum):
            entry["failure"] = f"checksum {checksum} instead of {expected}"
        inside = int(said["processor" if engine.processor_clock else "wall"][0]) / 1e9
        entry["seconds"].append(min(inside, run.processor))
        entry["disturbed"] += thrown_away
    except (process.Failed, KeyError, IndexError) as error:
        entry["failure"] = str(error)


def measure_program(name, options, folder, found, expected):
    program = programs.Program(name, folder)
    result = {"expected": expected.get((name, options.scale)), "engines": {}}
    try:
        program.build()
    except process.Failed as error:
        result["failure"] = str(error)
        return result
    runners = [engine for engine in found if engine.vectors or not programs.uses_vectors(name)]
    for engine in runners:
        try:
            engine.prepare(program)
        except process.Failed as error:
            result["engines"][engine.key] = {"seconds": [], "disturbed": 0, "failure": str(error)}
    for number in range(options.rounds):
        for engine in runners:
            if not (engine.slow and number >= SLOW_ROUNDS):
                measure_once(engine, program, options, result["expected"], result)
    for entry in result["engines"].values():
        entry["median"] = statistics.median(entry["seconds"]) if entry["seconds"] else None
    native = result["engines"]["native"]["median"]
    for entry in result["engines"].values():
        entry["ratio"] = entry["median"] / native if native and entry["median"] and "failure" not in entry else None
    return result


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


def measure(options, folder, found, only):
    expected = programs.expected_checksums()
    table = {}
    for name in programs.names():
        if only and name not in only:
            continue
        process.progress(name)
        table[name] = measure_program(name, options, folder, found, expected)
    process.progress()
    unknown = only - set(programs.names())
    if unknown:
        raise SystemExit(f"no such part or program: {', '.join(sorted(unknown))}")
    means, vector_means = {}, {}
    for vectors, result in ((False, means), (True, vector_means)):
        rows = [row for name, row in table.items() if programs.uses_vectors(name) == vectors]
        for engine in found:
            ratios = [row["engines"].get(engine.key, {}).get("ratio") for row in rows]
            if ratios and all(ratios):  # a mean over fewer programs could not be compared
                result[engine.key] = geometric_mean(ratios)
    return {"scale": options.scale, "rounds": options.rounds, "programs": table, "means": means,
            "vector_means": vector_means,
            "complete": not only}
