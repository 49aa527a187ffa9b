;; Imports a host function with another type than it has.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func (param f64)))
  (memory (export "memory") 1)
  (func (export "_start")))
