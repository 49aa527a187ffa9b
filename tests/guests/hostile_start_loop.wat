;; The start function never ends.
(module
  (func $first (loop $again (br $again)))
  (func (export "_start"))
  (memory (export "memory") 1)
  (start $first))
