"""A client and a service whose function takes a list of lists of lists ..., as deep as types may be: the transfer's recursion
must fit on the kernel's stack. No tool makes such modules, so their types are put together here."""
import os
import subprocess

CLIENT = """(module (import "t:t/i" "f" (func $f (param i32 i32))) (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (local.set $at (i32.const 64))
    (loop $next ;; each list has one element, the list behind it
      (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 8)))
      (i32.store offset=4 (local.get $at) (i32.const 1))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 512))))
    (call $f (i32.const 64) (i32.const 1))))"""

SERVICE = """(module (import "tessera" "port_serve" (func $serve (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
    (i32.sub (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
  (func (export "t:t/i#f") (param i32 i32)
    (if (i32.ne (i32.load offset=4 (local.get 0)) (i32.const 1)) (then unreachable)))
  (func (export "_start") (call $exit (call $serve (i32.const 3)))))"""


def number(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def name(text):
    return number(len(text)) + text.encode()


def vector(items):
    return number(len(items)) + b"".join(items)


def section(depth, imported):
    declarations, element = [], b"\x7f"  # bool
    for index in range(depth):
        declarations.append(b"\x01\x70" + element)
        element = number(index)
    declarations.append(b"\x01\x40" + vector([name("p") + element]) + b"\x01\x00")
    declarations.append(b"\x04\x00" + name("f") + b"\x01" + number(depth))
    interface = (b"\x03\x00" if imported else b"\x04\x00") + name("t:t/i") + b"\x05\x00"
    world = vector([b"\x01\x42" + vector(declarations), interface])
    types = b"\x01\x41" + vector([b"\x01\x41" + world, b"\x04\x00" + name("t:t/w") + b"\x04\x00"])
    return b"\0asm\x0d\0\1\0\x07" + number(len(types)) + types


def make(folder, depth):
    for part, text in ("client", CLIENT), ("service", SERVICE):
        path = os.path.join(folder, f"deep_{part}")
        with open(path + ".wat", "w") as file:
            file.write(text)
        subprocess.run(["wat2wasm", path + ".wat", "-o", path + ".wasm"], check=True)
        contents = name("component-type") + section(depth, part == "client")
        with open(path + ".wasm", "ab") as file:
            file.write(b"\0" + number(len(contents)) + contents)
