//! Runs a WASI command, or only compiles it, with wasmtime's Cranelift or Winch compiler on one core.
//!
//!     bench-wasmtime cranelift|winch run FILE.wasm [ARGUMENT...]
//!     bench-wasmtime cranelift|winch compile FILE.wasm       prints "compile_seconds S peak_kib N", processor time
//!     bench-wasmtime cranelift|winch precompile FILE.wasm OUT.cwasm
//!     bench-wasmtime cranelift|winch run-precompiled FILE.cwasm [ARGUMENT...]
//!
//! The WASI functions are those that the benchmark programs import, and no more: arguments, clock, stdout.

use std::io::Write;
use wasmtime::{Caller, Config, Engine, Extern, Linker, Memory, Module, Store, Strategy};

const BAD_DESCRIPTOR: i32 = 8;
const INVALID: i32 = 28;

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, result: *mut TimeSpec) -> i32;
}

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const PROCESSOR: i32 = 2; /* the numbers of Linux and of WASI are the same */

fn nanoseconds(clock: i32) -> u64 {
    let mut now = TimeSpec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(clock, &mut now) };
    now.seconds as u64 * 1_000_000_000 + now.nanoseconds as u64
}

struct Host {
    arguments: Vec<String>,
}

fn memory(caller: &mut Caller<'_, Host>) -> Memory {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => memory,
        _ => fail("the module exports no memory"),
    }
}

fn fail(message: &str) -> ! {
    eprintln!("bench-wasmtime: {message}");
    std::process::exit(2)
}

fn word(bytes: &[u8], at: u32) -> u32 {
    let at = at as usize;
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn store_word(bytes: &mut [u8], at: u32, value: u32) {
    bytes[at as usize..at as usize + 4].copy_from_slice(&value.to_le_bytes());
}

fn write_gathered(mut caller: Caller<'_, Host>, descriptor: i32, list: u32, count: u32, written: u32) -> i32 {
    if !(1..=2).contains(&descriptor) {
        return BAD_DESCRIPTOR;
    }
    let memory = memory(&mut caller);
    let bytes = memory.data_mut(&mut caller);
    let mut total = 0;
    for entry in 0..count {
        let address = word(bytes, list + entry * 8) as usize;
        let length = word(bytes, list + entry * 8 + 4) as usize;
        let text = &bytes[address..address + length];
        let result = if descriptor == 1 { std::io::stdout().write_all(text) } else { std::io::stderr().write_all(text) };
        if result.is_err() {
            return INVALID;
        }
        total += length as u32;
    }
    store_word(bytes, written, total);
    0
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    const WASI: &str = "wasi_snapshot_preview1";
    let mut linker = Linker::new(engine);
    linker.func_wrap(WASI, "args_sizes_get", |mut caller: Caller<'_, Host>, count: u32, size: u32| -> i32 {
        let arguments = caller.data().arguments.len() as u32;
        let bytes: usize = caller.data().arguments.iter().map(|argument| argument.len() + 1).sum();
        let memory = memory(&mut caller);
        let data = memory.data_mut(&mut caller);
        store_word(data, count, arguments);
        store_word(data, size, bytes as u32);
        0
    })?;
    linker.func_wrap(WASI, "args_get", |mut caller: Caller<'_, Host>, list: u32, mut text: u32| -> i32 {
        let memory = memory(&mut caller);
        let (data, host) = memory.data_and_store_mut(&mut caller);
        for (index, argument) in host.arguments.iter().enumerate() {
            store_word(data, list + 4 * index as u32, text);
            data[text as usize..text as usize + argument.len()].copy_from_slice(argument.as_bytes());
            data[text as usize + argument.len()] = 0;
            text += argument.len() as u32 + 1;
        }
        0
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Caller<'_, Host>, count: u32, size: u32| -> i32 {
        let memory = memory(&mut caller);
        let data = memory.data_mut(&mut caller);
        store_word(data, count, 0);
        store_word(data, size, 0);
        0
    })?;
    linker.func_wrap(WASI, "environ_get", |_: u32, _: u32| -> i32 { 0 })?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Caller<'_, Host>, clock: i32, _precision: i64, result: u32| -> i32 {
            if ![REALTIME, MONOTONIC, PROCESSOR].contains(&clock) {
                return INVALID;
            }
            let memory = memory(&mut caller);
            let now = nanoseconds(clock);
            memory.data_mut(&mut caller)[result as usize..result as usize + 8].copy_from_slice(&now.to_le_bytes());
            0
        },
    )?;
    linker.func_wrap(WASI, "fd_write", write_gathered)?;
    linker.func_wrap(WASI, "fd_close", |_: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_read", |_: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    for name in ["fd_renumber", "fd_fdstat_set_flags", "fd_prestat_get"] {
        linker.func_wrap(WASI, name, |_: i32, _: i32| BAD_DESCRIPTOR)?;
    }
    linker.func_wrap(WASI, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    let path_open = |_: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, _: i32| BAD_DESCRIPTOR;
    linker.func_wrap(WASI, "path_open", path_open)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |mut caller: Caller<'_, Host>, descriptor: i32, result: u32| -> i32 {
        if !(0..=2).contains(&descriptor) {
            return BAD_DESCRIPTOR;
        }
        let memory = memory(&mut caller);
        let status = &mut memory.data_mut(&mut caller)[result as usize..result as usize + 24];
        status.fill(0);
        status[0] = 2; /* character device */
        status[8..16].fill(0xff);
        0
    })?;
    linker.func_wrap(WASI, "proc_exit", |status: i32| -> () {
        let _ = std::io::stdout().flush();
        std::process::exit(status);
    })?;
    Ok(linker)
}

fn main() -> wasmtime::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 4 {
        fail("usage: bench-wasmtime cranelift|winch run|compile|precompile|run-precompiled FILE [ARGUMENT...]");
    }
    let mut config = Config::new();
    config.strategy(match arguments[1].as_str() {
        "cranelift" => Strategy::Cranelift,
        "winch" => Strategy::Winch,
        _ => fail("unknown compiler"),
    });
    config.max_wasm_stack(2 << 20);
    let engine = Engine::new(&config)?;
    let file = &arguments[3];
    let module = match arguments[2].as_str() {
        "run" => Module::new(&engine, std::fs::read(file)?)?,
        "compile" => {
            let bytes = std::fs::read(file)?;
            let start = nanoseconds(PROCESSOR);
            let module = Module::new(&engine, bytes)?;
            let seconds = (nanoseconds(PROCESSOR) - start) as f64 / 1e9;
            let status = std::fs::read_to_string("/proc/self/status")?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
            println!("compile_seconds {seconds:.6} peak_kib {}", peak.unwrap_or("0"));
            drop(module);
            return Ok(());
        }
        "precompile" => {
            std::fs::write(&arguments[4], Module::new(&engine, std::fs::read(file)?)?.serialize()?)?;
            return Ok(());
        }
        /* The file is one that `precompile` wrote a moment ago. */
        "run-precompiled" => unsafe { Module::deserialize_file(&engine, file)? },
        _ => fail("unknown command"),
    };
    let mut store = Store::new(&engine, Host { arguments: arguments[3..].to_vec() });
    let instance = linker(&engine)?.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
    Ok(())
}
