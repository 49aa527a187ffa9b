# Where a thread begins (wasi-threads: wasi_thread_start): its stack, then C; and its last word, for which it needs no
# stack any more, because whoever waits for it frees that.
	.globaltype	__stack_pointer, i32
	.functype	thread_run (i32, i32) -> (i32)

	.section	.text.wasi_thread_start,"",@
	.globl	wasi_thread_start
	.export_name	wasi_thread_start, wasi_thread_start
	.type	wasi_thread_start,@function
wasi_thread_start:
	.functype	wasi_thread_start (i32, i32) -> ()
	local.get	1
	i32.load	0                       # struct thread: stack_top
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	thread_run                  # the address of the thread's state
	local.tee	0
	i32.const	1
	i32.atomic.store	0
	local.get	0
	i32.const	-1
	memory.atomic.notify	0
	drop
	end_function
