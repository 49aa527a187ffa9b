"""Running a command and saying what it cost.

The machine may be shared. A run is called disturbed when the process had to wait for a processor: its wall time is
well above the processor time that it used. Such a run is repeated, up to a limit, and counted.
"""
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

RETRIES = 2
RUN_SECONDS = 300
SET_UP_SECONDS = 2400  # building wasmtime, or optimizing a large module, takes minutes


class Failed(Exception):
    """A command ended with an error, or said something else than expected."""


class Run:
    """One run: its output, wall and processor time in seconds."""

    def __init__(self, output, wall, processor):
        self.output, self.wall, self.processor = output, wall, processor

    def disturbed(self):
        return self.wall - self.processor > 0.004 + 0.02 * self.wall


def run_once(command, limit=RUN_SECONDS):
    """Output and wall seconds. What the command started dies with it when it takes longer than `limit`."""
    start = time.monotonic()
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except BaseException as error:  # Ctrl-C too
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"no end within {limit} s: {shown(command)}") from None
            raise
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-3:]
        raise Failed(f"status {process.returncode}: {shown(command)}: {' / '.join(last)}")
    return output.decode(errors="replace"), time.monotonic() - start


def run(command):
    """Run and account. Children are waited for one at a time, so the difference of the children's sums is this one's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output, wall = run_once(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(output, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_undisturbed(command, indifferent=False):
    """Run until a run was not disturbed, or once where that is indifferent; the last one counts. Returns it and the
    number of runs thrown away."""
    for thrown_away in range(RETRIES + 1):
        result = run(command)
        if indifferent or not result.disturbed():
            break
    return result, thrown_away


def progress(text=""):
    """Say on a terminal what is being done, in place of what was said before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def words(output):
    """'name value name value' lines as a dictionary of lists of values."""
    result = {}
    for line in output.splitlines():
        parts = line.split()
        for name, value in zip(parts[::2], parts[1::2]):
            result.setdefault(name, []).append(value)
    return result


def shown(command):
    return " ".join(str(part) for part in command)


def spawn_many(spawn, runs, command):
    """Exact costs of many runs by bench/spawn.c: lists of wall and processor microseconds and peak KiB."""
    output, _ = run_once([spawn, runs, *command])
    rows = [line.split() for line in output.splitlines()]
    bad = [row for row in rows if row[4] != "0"]
    if bad or len(rows) != runs:
        raise Failed(f"{len(bad)} of {runs} runs failed: {shown(command)}")
    return {"wall": [float(row[0]) for row in rows], "processor": [int(row[1]) + int(row[2]) for row in rows],
            "peak": [int(row[3]) for row in rows]}


def core_command(command):
    """The same command bound to one core, so that helper threads cannot hide work."""
    return ["taskset", "-c", str(max(os.sched_getaffinity(0))), *command]


def is_newer(output, inputs):
    """Whether `output` exists and was made after the last change of all `inputs`."""
    return output.exists() and output.stat().st_mtime > max(path.stat().st_mtime for path in inputs)


def build_spawn(folder):
    """bench/spawn.c, built."""
    source, binary = pathlib.Path(__file__).resolve().parent.parent / "spawn.c", folder / "spawn"
    if not is_newer(binary, [source]):
        run_once(["clang-22", "-O2", "-static", source, "-o", binary])
    return binary
