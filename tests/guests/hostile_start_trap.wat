;; The start function traps: before any _start.
(module
  (func $first (call $second))
  (func $second (unreachable))
  (func (export "_start"))
  (memory (export "memory") 1)
  (start $first))
