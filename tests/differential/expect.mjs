// What V8 makes of the modules of make_modules.c: expect.mjs FOLDER COUNT writes FOLDER/made.json in the form of the
// official suite's scripts.
import fs from "node:fs";
import { CALLS, record } from "./v8.mjs";

const [folder, count] = process.argv.slice(2);
const BODY = { parameters: ["i32", "i64", "f32", "f64", "funcref", "externref"], results: ["i32"] };
const HASH = { parameters: [], results: ["i64"] };
// (module (func (export "f") (param i32 f64) (result i64)
//   local.get 0 i64.extend_i32_s local.get 1 i64.trunc_sat_f64_s i64.xor))
const imported = Buffer.from(
  "0061736d01000000" + "010701" + "60027f7c017e" + "03020100" + "07050101660000" + "0a0c010a00" + "2000ac2001fc06850b", "hex");
fs.writeFileSync(`${folder}/imported.wasm`, imported);
const m = new WebAssembly.Instance(new WebAssembly.Module(imported)).exports;
const commands = [
  { type: "module", line: 0, name: "$m", filename: "imported.wasm" },
  { type: "register", line: 0, name: "$m", as: "m" },
];
for (let i = 0; i < Number(count); i++) {
  const filename = `made.${i}.wasm`;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(`${folder}/${filename}`)), { m });
  commands.push({ type: "module", line: i, filename });
  for (const call of CALLS) {
    record(commands, i, instance, undefined, "b", BODY, call);
    record(commands, i, instance, undefined, "h", HASH, call);
  }
}
fs.writeFileSync(`${folder}/made.json`, JSON.stringify({ commands }));
const traps = commands.filter((command) => command.type === "assert_trap").length;
console.log(`${count} modules, ${commands.length} commands, ${traps} of them traps`);
