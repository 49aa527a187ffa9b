;; A program of two pages, one of its memory and one of its stack: without the handle "started" it ends at once, else it
;; signals that and waits for "never".
(module
  (import "tessera" "handle_named" (func $named (param i32 i32) (result i32)))
  (import "tessera" "event_signal" (func $signal (param i32) (result i32)))
  (import "tessera" "wait_one" (func $wait (param i32 i32 i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "startednever")
  (func (export "_start")
    (local $started i32)
    (local.set $started (call $named (i32.const 1024) (i32.const 7)))
    (if (i32.gt_s (local.get $started) (i32.const 0))
      (then
        (drop (call $signal (local.get $started)))
        (drop (call $wait (call $named (i32.const 1031) (i32.const 5)) (i32.const 8) (i64.const -1)))))))
