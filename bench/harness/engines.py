"""The engines: Tessera and its rivals. Each is set up under build/bench by package name and version."""
import pathlib
import shutil
import subprocess

from . import process
from .programs import HERE

WASM3_PACKAGE = "pywasm3==0.5.0"  # the source of wasm3 0.5.0; only its interpreter is taken from it
NODE = ["node", "--no-warnings", "--no-wasm-lazy-compilation"]
LIFTOFF = ["--liftoff-only"]
TURBOFAN = ["--no-liftoff"]
ONE_THREAD = ["--single-threaded"]  # V8 compiles on the main thread only


class Unavailable(Exception):
    """The engine cannot be had here; the text says why."""


def first_line(command):
    """What a tool says of its version, or Unavailable."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).strip().splitlines()[0]


failures = {}  # by what was to be obtained: not tried twice in one run


def obtain(what, *command):
    """Fetch or build by a command."""
    if what not in failures:
        try:
            process.run_once(command, process.SET_UP_SECONDS)
            return
        except (process.Failed, FileNotFoundError) as error:
            failures[what] = f"{what}: {error}"
    raise Unavailable(failures[what])


class Engine:
    """What an engine can be asked. A method that returns None: not applicable."""
    key = label = None
    slow = False  # an interpreter: fewer rounds in long runs
    processor_clock = True  # programs can read their processor time
    vectors = True  # has SIMD
    optimizing = False  # compiles for minutes where others take seconds

    def __init__(self, folder):
        self.folder = folder
        self.version = ""

    def set_up(self):
        """Install or build what is needed; raises Unavailable."""

    def prepare(self, program):
        """Per program work before timing (an ahead-of-time compiler translates here)."""

    def run_command(self, program, arguments):
        """Command that runs `program` (a programs.Program)."""
        return None

    def compile_command(self, file, runs):
        """Command that compiles `file` (several times when it can) on one core; prints 'compile_seconds S' lines."""
        return None


class Native(Engine):
    key, label = "native", "clang -O2"

    def set_up(self):
        self.version = first_line(["clang-22", "--version"])

    def run_command(self, program, arguments):
        return [program.native, *arguments]


class Tessera(Engine):
    key, label, processor_clock = "tessera", "Tessera", False

    def __init__(self, folder):
        super().__init__(folder)
        self.command = folder.parent / "tessera"

    def set_up(self):
        if not self.command.exists():
            raise Unavailable(f"{self.command} is not built (make)")
        self.version = "baseline tier, platform linux"

    def run_command(self, program, arguments):
        return [self.command, "run", "--platform", "linux", "--", program.wasm, *arguments]

    def compile_command(self, file, runs):
        return [self.driver(), runs, file]

    def driver(self):
        library, driver = self.folder.parent / "linux/libtessera.a", self.folder / "compile_speed"
        if not library.exists():
            raise Unavailable(f"{library} is not built (make)")
        process.run_once(["clang-22", "-std=c17", "-O2", "-D_GNU_SOURCE", "-I", HERE.parent, HERE / "compile_speed.c",
                          library, "-static", "-o", driver])
        return driver


class Wasm3(Engine):
    key, label, slow, vectors = "wasm3", "wasm3", True, False

    def set_up(self):
        self.driver = self.folder / "wasm3"
        self.version = WASM3_PACKAGE
        source = HERE / "rivals/wasm3.c"
        if process.is_newer(self.driver, [source, HERE / "rivals/wasi.h"]):
            return
        download = self.folder / "wasm3.download"
        if not list(download.glob("*/wasm3/m3_core.c")):
            shutil.rmtree(download, ignore_errors=True)
            obtain(WASM3_PACKAGE, "python3", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
                   "-d", download, WASM3_PACKAGE)
            obtain(WASM3_PACKAGE, "sh", "-c", 'cd "$1" && tar -xf *.tar.gz', "sh", download)
        interpreter = next(download.glob("*/wasm3"))
        obtain("wasm3", "clang-22", "-O3", "-w", "-fomit-frame-pointer", "-fno-stack-protector", "-DNASSERTS",
               "-I", interpreter, source, *interpreter.glob("*.c"), "-lm", "-o", self.driver)

    def run_command(self, program, arguments):
        return [self.driver, program.wasm, *arguments]


class Node(Engine):
    flags = []

    def set_up(self):
        self.version = f"node {first_line(['node', '--version'])}, V8 {first_line(['node', '-p', 'process.versions.v8'])}"

    def run_command(self, program, arguments):
        return [*NODE, *self.flags, HERE / "rivals/node.js", "run", program.wasm, *arguments]

    def compile_command(self, file, runs):
        return process.core_command([*NODE, *self.flags, *ONE_THREAD, HERE / "rivals/node.js", "compile", file])


class Liftoff(Node):
    key, label, flags = "liftoff", "V8 Liftoff", LIFTOFF


class TurboFan(Node):
    key, label, flags, optimizing = "turbofan", "V8 TurboFan", TURBOFAN, True


class Wasm2c(Engine):
    key, label, vectors, optimizing = "wasm2c", "wasm2c + clang -O2", False, True
    # Compiled; CPython's 20 MB take five minutes and 4 GiB, clang's 30 MB, almost all of it code, about three times that.
    LARGEST_MODULE = 24_000_000
    RUNTIME = pathlib.Path("/usr/share/wabt/wasm2c/wasm-rt-impl.c")

    def set_up(self):
        self.version = "wabt " + first_line(["wasm2c", "--version"])
        if not self.RUNTIME.exists():
            raise Unavailable(f"{self.RUNTIME} is missing (Debian's wabt has it)")

    def prepare(self, program):
        folder = self.folder / "wasm2c" / program.name
        binary = folder / program.name
        if process.is_newer(binary, [program.wasm, HERE / "rivals/wasm2c.c", HERE / "rivals/wasi.h"]):
            return
        folder.mkdir(parents=True, exist_ok=True)
        process.run_once(["wasm2c", "-n", "bench", program.wasm, "-o", folder / "module.c"])
        process.run_once(["clang-22", "-O2", "-w", "-I", folder, "-I", HERE / "rivals", HERE / "rivals/wasm2c.c",
                          folder / "module.c", self.RUNTIME, "-lm", "-o", binary])

    def run_command(self, program, arguments):
        return [self.folder / "wasm2c" / program.name / program.name, *arguments]

    def compile_command(self, file, runs):
        if pathlib.Path(file).stat().st_size > self.LARGEST_MODULE:
            return None
        return process.core_command([HERE / "rivals/wasm2c_compile", self.folder / "wasm2c/compile", file])


class Wasmtime(Engine):
    compiler = ""

    def set_up(self):
        crate = HERE / "rivals/wasmtime"
        line = next(line for line in (crate / "Cargo.toml").read_text().splitlines() if line.startswith("version = \"="))
        self.version = "wasmtime " + line.split('"')[1].lstrip("=")
        self.driver = self.folder / "cargo/release/bench-wasmtime"
        if shutil.which("cargo") is None:
            raise Unavailable("cargo is not installed")
        if process.is_newer(self.driver, [crate / "Cargo.lock", crate / "Cargo.toml", crate / "src/main.rs"]):
            return
        copy = self.folder / "wasmtime"
        shutil.copytree(crate, copy, dirs_exist_ok=True)
        obtain("cargo build of wasmtime (needs a current Rust)",
               "cargo", "build", "-q", "--release", "--locked", "--manifest-path", copy / "Cargo.toml",
               "--target-dir", self.folder / "cargo")

    def run_command(self, program, arguments):
        return [self.driver, self.compiler, "run", program.wasm, *arguments]

    def compile_command(self, file, runs):
        return process.core_command([self.driver, self.compiler, "compile", file])

    def precompiled_command(self, program, arguments):
        output = self.folder / f"{program.name}.{self.compiler}.cwasm"
        process.run_once([self.driver, self.compiler, "precompile", program.wasm, output])
        return [self.driver, self.compiler, "run-precompiled", output, *arguments]


class Winch(Wasmtime):
    key, label, compiler = "winch", "wasmtime Winch", "winch"


class Cranelift(Wasmtime):
    key, label, compiler, optimizing = "cranelift", "wasmtime Cranelift", "cranelift", True


ALL = [Native, Tessera, Liftoff, Winch, TurboFan, Cranelift, Wasm2c, Wasm3]
