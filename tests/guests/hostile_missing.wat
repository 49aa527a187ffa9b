;; Imports what nobody has.
(module
  (import "nobody" "has_this" (func))
  (import "wasi_snapshot_preview1" "fd_levitate" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
