// What V8 makes of the modules of make_modules.c: expect.mjs FOLDER COUNT writes FOLDER/made.json in the form of the
// official suite's scripts.
import fs from "node:fs";

const [folder, count] = process.argv.slice(2);
const CALLS = [
  [0, 0n, 0, 0],
  [1, -1n, 1.5, -2.25],
  [-2147483648, 0x7fffffffffffffffn, -0, 1e300],
  [77777, 123456789012345n, 3e-40, Infinity],
];

function bits(type, number) {
  const view = new DataView(new ArrayBuffer(8));
  ({
    i32: () => view.setInt32(0, number),
    i64: () => view.setBigInt64(0, number),
    f32: () => view.setFloat32(0, number),
    f64: () => view.setFloat64(0, number),
  })[type]();
  return { type, value: String(type.endsWith("64") ? view.getBigUint64(0) : view.getUint32(0)) };
}

// The words of the official suite for V8's message; empty (anything matches) where V8 does not tell cases apart.
function trapText(message) {
  const texts = [
    ["unreachable", "unreachable"],
    ["memory access out of bounds", "out of bounds memory access"],
    ["divide by zero", "integer divide by zero"],
    ["remainder by zero", "integer divide by zero"],
    ["divide result unrepresentable", "integer overflow"],
  ];
  return (texts.find(([pattern]) => message.includes(pattern)) ?? ["", ""])[1];
}

function record(commands, line, instance, field, types, args) {
  const action = { type: "invoke", field, args: types.map((type, i) => bits(type, args[i])) };
  const all = field === "b" ? [...args, null, null] : args;
  if (field === "b") {
    action.args.push({ type: "funcref", value: "null" }, { type: "externref", value: "null" });
  }
  try {
    const result = instance.exports[field](...all);
    commands.push({ type: "assert_return", line, action, expected: [bits(field === "b" ? "i32" : "i64", result)] });
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) {
      throw error;
    }
    commands.push({ type: "assert_trap", line, action, text: trapText(error.message) });
  }
}

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
  for (const args of CALLS) {
    record(commands, i, instance, "b", ["i32", "i64", "f32", "f64"], args);
    record(commands, i, instance, "h", [], []);
  }
}
fs.writeFileSync(`${folder}/made.json`, JSON.stringify({ commands }));
const traps = commands.filter((command) => command.type === "assert_trap").length;
console.log(`${count} modules, ${commands.length} commands, ${traps} of them traps`);
