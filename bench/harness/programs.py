"""The CPU programs: what they are made of, how they are built, what they must print."""
import pathlib

from . import process

HERE = pathlib.Path(__file__).resolve().parent.parent

# Everything is built with the same compiler and the same level. The two encoding options change no instruction: they keep
# to one-byte table numbers, without which wasm3 does not read the module.
OPTIMIZE = ["clang-22", "-O2", "-w"]
WASM = ["--target=wasm32-wasi", "--no-wasm-opt", "-Wl,-z,stack-size=1048576", "-mno-reference-types",
        "-mno-call-indirect-overlong"]

ZLIB = "adler32 compress crc32 deflate inffast inflate inftrees trees uncompr zutil".split()
LUA = ("lapi lauxlib lbaselib lcode lctype ldebug ldo ldump lfunc lgc llex lmathlib lmem lobject lopcodes lparser "
       "lstate lstring lstrlib ltable ltablib ltm lundump lvm lzio").split()

# Lua without what wasm has not (setjmp: errors abort; signals) and without what varies (seeds from time and addresses).
LUA_FLAGS = ["-DLUA_USE_JUMPTABLE=0", "-D_SETJMP_H", "-D_WASI_EMULATED_SIGNAL", "-Dluai_jmpbuf=int",
             "-DLUAI_THROW(L,c)=abort()", "-DLUAI_TRY(L,c,a)={a}", "-Dl_randomizePivot()=0", "-Dluai_makeseed(L)=1",
             "-include", "stdlib.h"]

# name: (Debian source package, folder of its C files, files, flags)
FOREIGN = {"zlib": ("zlib", ".", ZLIB, []), "lua": ("lua5.4", "src", LUA, LUA_FLAGS)}
NOT_MEASURED = {"clock", "hello"}


def uses_vectors(name):
    """Written with vectors of 16 bytes: built with -msimd128, natively for the same kind of CPU as Tessera
    asks for (SSE4.2), and with a mean of their own."""
    return name.startswith("simd_")


def names():
    return sorted(path.stem for path in HERE.glob("programs/*.c") if path.stem not in NOT_MEASURED)


class Program:
    """A program, built for the host and for wasm32-wasi on demand."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.native, self.wasm = folder / "native" / name, folder / "wasm" / (name + ".wasm")

    def build(self):
        sources, flags = [HERE / "programs" / (self.name + ".c")], []
        if self.name in FOREIGN:
            package, sub, files, flags = FOREIGN[self.name]
            folder, _ = process.run_once([HERE.parent / "scripts/debian_source", self.folder / "debian", package])
            source = pathlib.Path(folder.strip()) / sub
            sources += [source / (file + ".c") for file in files]
            flags = ["-I", source, *flags]
        inputs = [*sources, HERE / "programs/bench.h", pathlib.Path(__file__)]
        native, wasm = ["-lm"], WASM
        if uses_vectors(self.name):
            native, wasm = [*native, "-march=x86-64-v2"], [*wasm, "-msimd128"]
        for output, target in ((self.native, native), (self.wasm, wasm)):
            if process.is_newer(output, inputs):
                continue
            output.parent.mkdir(parents=True, exist_ok=True)
            process.run_once([*OPTIMIZE, *flags, *sources, "-o", output, *target])


def expected_checksums():
    """bench/checksums: lines 'PROGRAM SCALE CHECKSUM'."""
    result = {}
    for line in (HERE / "checksums").read_text().splitlines():
        if line and not line.startswith("#"):
            name, scale, checksum = line.split()
            result[name, int(scale)] = checksum
    return result
