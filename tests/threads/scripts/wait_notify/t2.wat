(module (memory (import "mem" "shared") 1 1 shared)
 (func (export "notify-0") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 0)))
 (func (export "notify-1-while") (loop (br_if 0 (i32.ne (i32.const 1) (memory.atomic.notify (i32.const 0) (i32.const 1))))))
 (func (export "trap") (drop (memory.atomic.wait32 (i32.const 1) (i32.const 0) (i64.const -1)))))
