;; Prints the monotonic time of its first instruction in nanoseconds: what the machine did before.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $time i64) (local $at i32)
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 0)))
    (local.set $time (i64.load (i32.const 0)))
    (local.set $at (i32.const 64))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i64.store8 (local.get $at) (i64.add (i64.rem_u (local.get $time) (i64.const 10)) (i64.const 48)))
      (local.set $time (i64.div_u (local.get $time) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $time) (i64.const 0))))
    (i32.store (i32.const 8) (local.get $at))
    (i32.store (i32.const 12) (i32.sub (i32.const 65) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))
