;; Addresses that are neither aligned nor inside.
(module
  (memory 1 1 shared)
  (func (export "wait32") (result i32)
    (memory.atomic.wait32 offset=1 (i32.const -64) (i32.const 0) (i64.const 0)))
  (func (export "wait64") (result i32)
    (memory.atomic.wait64 (i32.const -4) (i64.const 0) (i64.const 0)))
  (func (export "notify") (result i32)
    (memory.atomic.notify (i32.const -63) (i32.const 0))))
