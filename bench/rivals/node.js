// Runs a WASI command in V8, or only compiles it:
//     node FLAGS node.js run FILE.wasm [ARGUMENT...]
//     node FLAGS node.js compile FILE.wasm       prints "compile_seconds S peak_kib N", processor time
// Which compiler V8 uses is said by FLAGS (bench/run has them).
'use strict';
const fs = require('fs');
const [command, file, ...rest] = process.argv.slice(2);
const bytes = fs.readFileSync(file);

if (command === 'compile') {
    const start = process.cpuUsage();
    new WebAssembly.Module(bytes);
    const { user, system } = process.cpuUsage(start);
    const peak = /VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status'))[1];
    console.log('compile_seconds ' + (user + system) / 1e6, 'peak_kib ' + peak);
} else {
    const { WASI } = require('wasi');
    const wasi = new WASI({ version: 'preview1', args: [file, ...rest], returnOnExit: false });
    const module = new WebAssembly.Module(bytes);
    wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
}
