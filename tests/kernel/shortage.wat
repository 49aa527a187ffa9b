;; A guest that takes memory of every kind, for a machine that has none left at some moment: it grows and touches its
;; memory and its tables, starts threads, throws exceptions with payloads, fills the collected heap several times over,
;; and writes and reads a file. As `starter` it does little itself, and starts /guest (this module) as another process. Assembled to shortage.wasm beside it, because wabt's wat2wasm does not know these types:
;; `wasm-tools parse tests/kernel/shortage.wat -o tests/kernel/shortage.wasm`.
;; Exit status 0: all worked and was right. 70 and above: something was refused. Else a number of what was wrong.
(module
  (import "env" "memory" (memory 1 16 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "tessera" "process_run" (func $process_run (param i32 i32 i32) (result i32)))

  (type $node (struct (field $value (mut i32)) (field $next (mut (ref null $node)))))
  (type $nodes (array (mut (ref null $node))))
  (type $bytes (array (mut i8)))
  (table $functions 2 60000 funcref)
  (table $objects 4 60000 (ref null $node))
  (table $initialized 10000 60000 funcref (ref.func $work))
  (elem $element func $work)
  (elem (table $initialized) (i32.const 9999) func $file)
  (tag $thrown (param i32 i64 (ref null $node)))
  (global $kept (mut (ref null $node)) (struct.new $node (i32.const 17) (ref.null $node)))
  (global $array (ref $bytes) (array.new $bytes (i32.const 18) (i32.const 40000)))
  (data (i32.const 64) "file")
  (data (i32.const 128) "module=/guest\00argument=alone\00directory=/\00memory=2400000\00")
  (data $passive "passive bytes")
  ;; 0: threads that are done; 1024: buffers; 65536: memory that was grown

  (func $check (param $good i32) (param $number i32)
    (if (i32.eqz (local.get $good)) (then (call $exit (local.get $number)))))

  (func $list (param $count i32) (result (ref null $node))
    (local $list (ref null $node))
    (loop $more
      (local.set $list (struct.new $node (local.get $count) (local.get $list)))
      (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $list))
  (func $sum (param $list (ref null $node)) (result i32)
    (local $sum i32)
    (block $end
      (loop $more
        (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (br_on_null $end (local.get $list)))))
        (local.set $list (struct.get $node $next (local.get $list)))
        (br $more)))
    (local.get $sum))

  (func $throw (param $depth i32)
    (if (local.get $depth)
      (then (call $throw (i32.sub (local.get $depth) (i32.const 1))))
      (else (throw $thrown (i32.const 11) (i64.const 12) (call $list (i32.const 13))))))
  (func $catch
    (local $number i32) (local $wide i64) (local $list (ref null $node))
    (block $caught (result i32 i64 (ref null $node))
      (try_table (catch $thrown $caught) (call $throw (i32.const 200)))
      (unreachable))
    (local.set $list) (local.set $wide) (local.set $number)
    (call $check (i32.and (i32.eq (local.get $number) (i32.const 11)) (i64.eq (local.get $wide) (i64.const 12)))
      (i32.const 1))
    (call $check (i32.eq (call $sum (local.get $list)) (i32.const 91)) (i32.const 2)))

  (func $work
    (local $keep (ref null $node)) (local $array (ref null $nodes)) (local $round i32)
    (local.set $keep (call $list (i32.const 1000)))
    (local.set $array (array.new $nodes (local.get $keep) (i32.const 2000)))
    (loop $more
      (drop (call $list (i32.const 1500)))
      (drop (array.new $bytes (i32.const 1) (i32.const 40000)))
      (call $catch)
      (br_if $more (i32.lt_u (local.tee $round (i32.add (local.get $round) (i32.const 1))) (i32.const 12))))
    (call $check (i32.eq (call $sum (local.get $keep)) (i32.const 500500)) (i32.const 3))
    (call $check (ref.eq (local.get $keep) (array.get $nodes (local.get $array) (i32.const 1999))) (i32.const 4)))

  (func $tables
    (call $check (i32.eq (call $sum (global.get $kept)) (i32.const 17)) (i32.const 8))
    (call $check (i32.eq (array.get_u $bytes (global.get $array) (i32.const 39999)) (i32.const 18)) (i32.const 9))
    (call $check (i32.eqz (ref.is_null (table.get $initialized (i32.const 5000)))) (i32.const 10))
    (call $check (i32.ne (table.grow $functions (ref.func $work) (i32.const 5000)) (i32.const -1)) (i32.const 70))
    (global.set $kept (call $list (i32.const 10)))
    (call $check (i32.ne (table.grow $objects (global.get $kept) (i32.const 5000)) (i32.const -1)) (i32.const 71))
    (table.init $functions $element (i32.const 1) (i32.const 0) (i32.const 1))
    (table.fill $objects (i32.const 0) (global.get $kept) (i32.const 4))
    (call $check (i32.eqz (ref.is_null (table.get $functions (i32.const 5001)))) (i32.const 5))
    (call $check (i32.eq (call $sum (table.get $objects (i32.const 3))) (i32.const 55)) (i32.const 6)))

  (func $memory
    (local $at i32)
    (call $check (i32.ne (memory.grow (i32.const 3)) (i32.const -1)) (i32.const 72))
    (local.set $at (i32.const 65536))
    (loop $more
      (i32.store (local.get $at) (local.get $at))
      (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const 262144))))
    (memory.init $passive (i32.const 70000) (i32.const 0) (i32.const 13))
    (call $check (i32.eq (i32.load (i32.const 131072)) (i32.const 131072)) (i32.const 7)))

  ;; 1024: address and length of the buffer, 1032: bytes done, 1036: descriptor
  (func $file
    (i32.store (i32.const 1024) (i32.const 65536)) (i32.store (i32.const 1028) (i32.const 100000))
    (call $check (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1)
      (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 1036))) (i32.const 73))
    (call $check (i32.eqz (call $fd_write (i32.load (i32.const 1036)) (i32.const 1024) (i32.const 1) (i32.const 1032)))
      (i32.const 74))
    (call $check (i32.eqz (call $fd_pread (i32.load (i32.const 1036)) (i32.const 1024) (i32.const 1) (i64.const 4096)
      (i32.const 1032))) (i32.const 75))
    (call $check (i32.eqz (call $fd_close (i32.load (i32.const 1036)))) (i32.const 76)))

  (func (export "wasi_thread_start") (param $thread i32) (param $argument i32)
    (call $work)
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))

  ;; 1040: argument's address, 1048: its text
  (func $is_starter (result i32)
    (call $check (i32.eqz (call $args_get (i32.const 1040) (i32.const 1048))) (i32.const 79))
    (i32.eq (i32.load8_u (i32.const 1048)) (i32.const 0x73)))
  (func $starter
    (local $status i32)
    (call $memory)
    (local.set $status (call $process_run (i32.const 1) (i32.const 128) (i32.const 56)))
    (call $check (i32.eqz (i32.and (i32.ge_s (local.get $status) (i32.const 1))
                                   (i32.lt_s (local.get $status) (i32.const 70)))) (local.get $status))
    (call $check (i32.eqz (local.get $status)) (i32.const 80)))

  (func (export "_start")
    (local $done i32)
    (if (call $is_starter) (then (call $starter) (return)))
    (call $tables)
    (call $memory)
    (call $check (i32.gt_s (call $spawn (i32.const 1)) (i32.const 0)) (i32.const 77))
    (call $check (i32.gt_s (call $spawn (i32.const 2)) (i32.const 0)) (i32.const 78))
    (call $file)
    (call $work)
    (block $all
      (loop $wait
        (br_if $all (i32.eq (local.tee $done (i32.atomic.load (i32.const 0))) (i32.const 2)))
        (drop (memory.atomic.wait32 (i32.const 0) (local.get $done) (i64.const -1)))
        (br $wait)))
    (drop (call $unlink (i32.const 3) (i32.const 64) (i32.const 4)))))
