"""What the suites written in Python share: running a command and comparing, counting, the last line."""
import os
import subprocess
import sys
import threading

PLATFORMS = ("linux", "vm")


class Result:
    def __init__(self, status, output, error):
        self.status, self.output, self.error = status, output, error


def run(command, stdin=b"", timeout=60, environment=None):
    """Status 'late' when it did not end in time; then it is killed with all that it started."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True, env={**os.environ, **(environment or {})})
    try:
        output, error = process.communicate(stdin, timeout)
        return Result(process.returncode, output, error)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, error = process.communicate()
        return Result("late", output, error)


# Options of `tessera run --platform vm` under which the machine's time is its instructions, 8 ns each, and idle time passes at
# once: whatever happens in it does not depend on what else this computer does. For one CPU.
COUNTED_MACHINE = ["--accelerator", "tcg", "--qemu", "-icount shift=3,sleep=off"]


class Suite:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()

    def passes(self):
        with self.lock:
            self.passed += 1

    def fails(self, name, why, result=None, lines=12):
        with self.lock:
            self.failed += 1
            print(f"FAIL {name}: {why}")
            for stream, data in (("stdout", result.output), ("stderr", result.error)) if result else ():
                for line in data.decode(errors="replace").splitlines()[-lines:]:
                    print(f"    {stream}: {line[:200]}")
            sys.stdout.flush()

    def skips(self, name, reason):
        with self.lock:
            self.skipped += 1
            print(f"SKIP {name}: {reason}", flush=True)

    def check(self, name, result, status=0, output=None, error=()):
        """`output`: bytes that stdout must be (None: anything); `error`: texts that stderr must contain."""
        text = result.error.decode(errors="replace")
        missing = [part for part in error if part not in text]
        if result.status != status:
            self.fails(name, f"status {result.status} instead of {status}", result)
        elif output is not None and result.output != output:
            self.fails(name, "wrong output", result)
        elif missing:
            self.fails(name, f"stderr lacks {missing[0]!r}", result)
        else:
            self.passes()
            return True
        return False

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)
