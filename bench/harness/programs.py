"""The CPU programs: what they are made of, how they are built, what they must print."""
import pathlib
import shutil

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


def fetch_source(package, folder):
    """Debian's source of `package`, unpacked; apt's own state is not touched."""
    target = folder / package
    if target.exists():
        return target
    apt = folder / "apt"
    for sub in ("lists/partial", "parts"):
        (apt / sub).mkdir(parents=True, exist_ok=True)
    written = 0
    for path in pathlib.Path("/etc/apt").glob("sources.list.d/debian.sources"):
        (apt / "parts" / path.name).write_text(path.read_text().replace("Types: deb\n", "Types: deb-src\n"))
        written += 1
    for path in pathlib.Path("/etc/apt").glob("sources.list"):
        lines = [line.replace("deb ", "deb-src ", 1) for line in path.read_text().splitlines() if line.startswith("deb ")]
        (apt / "parts" / path.name.replace("sources.list", "main.list")).write_text("\n".join(lines) + "\n")
        written += len(lines)
    if not written:
        raise process.Failed("no Debian package source is configured here")
    options = ["-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={apt}/parts",
               "-o", f"Dir::State::lists={apt}/lists", "-o", "APT::Get::List-Cleanup=0", "-o", "APT::Sandbox::User=root"]
    process.run_once(["apt-get", *options, "update"])
    download = folder / (package + ".download")
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir()
    process.run_once(["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", download,
                      "apt-get", *options, "source", "--download-only", "--tar-only", package])
    archives = list(download.glob("*.orig.tar.*"))
    if len(archives) != 1:
        raise process.Failed(f"no source archive of {package}")
    process.run_once(["tar", "-C", download, "-xf", archives[0]])
    next(path for path in download.iterdir() if path.is_dir()).rename(target)
    (target / ".version").write_text(archives[0].name.split("_")[1].split(".orig")[0])
    return target


class Program:
    """A program, built for the host and for wasm32-wasi on demand."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.native, self.wasm = folder / "native" / name, folder / "wasm" / (name + ".wasm")

    def build(self):
        sources, flags = [HERE / "programs" / (self.name + ".c")], []
        if self.name in FOREIGN:
            package, sub, files, flags = FOREIGN[self.name]
            source = fetch_source(package, self.folder / "source") / sub
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
