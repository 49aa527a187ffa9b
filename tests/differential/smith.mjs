// What V8 makes of modules of `wasm-tools smith`: smith.mjs FOLDER FIRST COUNT writes FOLDER/NAME.json, NAME being the
// folder's own name, in the form of the official suite's scripts, for the modules FOLDER/NUMBER.wasm. The line of a
// command is the module's number.
//
// Not compared, since they may differ: bits of NaNs; which trap an atomic access that is unaligned and out of bounds has; vectors and exceptions at the border to JavaScript, which has
// neither; what happens after V8's stack ran out; modules with memory.atomic.wait, which may wait forever.
import fs from "node:fs";
import path from "node:path";
import { CALLS, constant, record, trapText } from "./v8.mjs";

const [folder, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const VISIBLE = ["i32", "i64", "f32", "f64", "externref", "funcref"];
const left_out = {};
const commands = [];

let atomic = false; // whether the module has what may be an atomic access

function leaveOut(reason) {
  left_out[reason] = (left_out[reason] ?? 0) + 1;
}

// (module (import "x" NAME (memory 0)) (func (export "sum") (result i64) (local i32 i64)
//   block loop local.get 0 memory.size i32.const 16 i32.shl i32.ge_u br_if 1
//     local.get 1 local.get 0 i64.load align=1 i64.xor i64.const 0x4f1bbcdcbfa53e0b i64.mul i64.const 29 i64.rotl local.set 1
//     local.get 0 i32.const 8 i32.add local.set 0 br 0 end end local.get 1))
function checksumModule(name, shared) {
  const hex = (text) => Buffer.from(text, "hex");
  const field = Buffer.from(name);
  const size = Buffer.from([(field.length & 127) | 128, field.length >> 7]);
  const entry = Buffer.concat([hex("010178"), size, field, hex(shared ? "020300808004" : "020000")]);
  const section = Buffer.from([2, (entry.length & 127) | 128, entry.length >> 7]);
  return Buffer.concat([
    hex("0061736d010000000105016000017e"), section, entry, hex("030201000707010373756d00000a3c013a02017f017e" +
    "0240034020003f004110744f0d012001200029000085428bfc94fdcb9bef8dcf007e421d892101200041086a21000c000b0b20010b")]);
}

function checkMemory(number, exports, name) {
  const bytes = checksumModule(name, exports[name].buffer instanceof SharedArrayBuffer);
  const filename = `${number}.${Object.keys(exports).indexOf(name)}.wasm`;
  fs.writeFileSync(`${folder}/${filename}`, bytes);
  const checker = new WebAssembly.Instance(new WebAssembly.Module(bytes), { x: { [name]: exports[name] } });
  commands.push({ type: "register", line: number, name: `$${number}`, as: "x" });
  commands.push({ type: "module", line: number, filename });
  record(commands, number, checker, undefined, "sum", { parameters: [], results: ["i64"] }, {});
}

function checkGlobal(number, name, global) {
  const type = global.type().value;
  if (!VISIBLE.includes(type)) {
    leaveOut("global of a type that JavaScript does not have");
    return;
  }
  if (!Number.isNaN(global.value)) {
    commands.push({ type: "assert_return", line: number, action: { type: "get", module: `$${number}`, field: name },
                    expected: [constant(type, global.value)] });
  }
}

function checkInstance(number, instance) {
  const exports = Object.entries(instance.exports);
  for (const [field, item] of exports) {
    if (!(item instanceof Function)) {
      continue;
    }
    const type = WebAssembly.Function.type(item);
    if (![...type.parameters, ...type.results].every((kind) => VISIBLE.includes(kind))) {
      leaveOut("function of a type that JavaScript does not have");
      continue;
    }
    for (const call of type.parameters.length > 0 ? CALLS : CALLS.slice(2)) {
      record(commands, number, instance, `$${number}`, field, type, call);
    }
  }
  for (const [field, item] of exports) {
    if (item instanceof WebAssembly.Global) {
      checkGlobal(number, field, item);
    } else if (item instanceof WebAssembly.Memory) {
      checkMemory(number, instance.exports, field);
    }
  }
}

function checkModule(number) {
  const filename = `${number}.wasm`;
  const bytes = fs.readFileSync(`${folder}/${filename}`);
  if (bytes.includes(Buffer.from([0xfe, 1])) || bytes.includes(Buffer.from([0xfe, 2]))) {
    leaveOut("may wait forever");
    return;
  }
  atomic = bytes.includes(0xfe);
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    commands.push({ type: "module", line: number, filename, name: `$${number}` });
    checkInstance(number, instance);
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) {
      leaveOut("V8 cannot compile it");
      console.log(`${number}: ${error.message}`);
    } else if (error instanceof WebAssembly.RuntimeError) {
      commands.push({ type: "assert_uninstantiable", line: number, filename, text: trapText(error.message) });
    } else if (error instanceof RangeError) {
      leaveOut("V8's stack or memory ran out");
    } else {
      throw error;
    }
  }
}

function checkAny(number) {
  const start = commands.length;
  checkModule(number);
  for (const command of commands.slice(start)) {
    if (atomic && command.text === "out of bounds memory access") {
      command.text = "";
    }
  }
}

for (let number = first; number < first + count; number++) {
  if (fs.existsSync(`${folder}/${number}.wasm`)) {
    checkAny(number);
  }
}
fs.writeFileSync(`${folder}/${path.basename(folder)}.json`, JSON.stringify({ commands }));
console.log(JSON.stringify({ commands: commands.length, traps: commands.filter((row) => row.type === "assert_trap").length, left_out }));
