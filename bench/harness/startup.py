"""What it costs to start and end a clang-built hello: wall time from posix_spawn to wait4, processor time, peak memory."""
import statistics

from . import engines, process, programs

RUNS, QUICK_RUNS = 100, 20


def commands(engine, hello):
    """Label and command of each way in which this engine starts hello."""
    engine.prepare(hello)
    yield engine.key, engine.label, engine.run_command(hello, [])
    if isinstance(engine, engines.Wasmtime):
        yield engine.key + "-precompiled", engine.label + ", precompiled", engine.precompiled_command(hello, [])


def measure(options, folder, found, _only):
    spawn = process.build_spawn(folder)
    hello = programs.Program("hello", folder)
    hello.build()
    result = {"module_bytes": hello.wasm.stat().st_size, "engines": {}}
    costs, rows = {}, {}
    for engine in found:
        try:
            for key, label, command in commands(engine, hello):
                rows[key] = (label, command)
        except process.Failed as error:
            result["engines"][engine.key] = {"label": engine.label, "failure": str(error)}
    runs, rounds = (QUICK_RUNS if options.quick else RUNS), options.rounds
    for _ in range(rounds):  # interleaved, so that a disturbance meets all
        for key, (label, command) in list(rows.items()):
            try:
                if process.run_once(command)[0] != "Hello, world 42\n":
                    raise process.Failed("not the output of hello")
                cost = process.spawn_many(spawn, runs // rounds, command)
                for name, values in cost.items():
                    costs.setdefault(key, {}).setdefault(name, []).extend(values)
            except process.Failed as error:
                result["engines"][key] = {"label": label, "failure": str(error)}
                del rows[key]
    for key, (label, _) in rows.items():
        cost = costs[key]
        result["engines"][key] = {
            "label": label, "runs": len(cost["wall"]), "wall_us": statistics.median(cost["wall"]),
            "best_us": min(cost["wall"]), "processor_us": statistics.median(cost["processor"]),
            "peak_kib": statistics.median(cost["peak"])}
    return result
