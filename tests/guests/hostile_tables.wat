;; Grows tables until it is refused: no crime.
(module
  (memory (export "memory") 1)
  (table $a 0 funcref)
  (table $b 0 externref)
  (func (export "_start")
    (loop $again (br_if $again (i32.ne (table.grow $a (ref.null func) (i32.const 1000000)) (i32.const -1))))
    (loop $again (br_if $again (i32.ne (table.grow $b (ref.null extern) (i32.const 1000000)) (i32.const -1))))
    (drop (table.grow $a (ref.null func) (i32.const -1)))))
