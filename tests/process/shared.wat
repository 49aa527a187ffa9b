;; A memory object is not mapped into a shared memory: exits with 0 when that is refused.
(module
  (import "tessera" "memory_create" (func $memory_create (param i64) (result i32)))
  (import "tessera" "memory_map" (func $memory_map (param i32 i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2 2 shared)
  (func (export "_start")
    (if (i32.ne (call $memory_map (call $memory_create (i64.const 4096)) (i32.const 65536) (i64.const 0) (i32.const 4096)
                                  (i32.const 1))
                (i32.const -2)) ;; TESSERA_EINVAL
      (then (call $proc_exit (i32.const 1))))))
