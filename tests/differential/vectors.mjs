// What V8 makes of the modules of vectors.py: vectors.mjs FOLDER COUNT writes FOLDER/vectors.json in the form of the
// official suite's scripts. "f" is called twice: memory and globals go on.
import fs from "node:fs";

const [folder, count] = process.argv.slice(2);
const commands = [];
for (let line = 0; line < Number(count); line++) {
  const filename = `${line}.wasm`;
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(`${folder}/${filename}`))).exports;
  commands.push({ type: "module", line, filename });
  for (let call = 0; call < 2; call++) {
    const expected = f().map((result) => ({ type: "i64", value: String(BigInt.asUintN(64, result)) }));
    commands.push({ type: "assert_return", line, action: { type: "invoke", field: "f", args: [] }, expected });
  }
}
fs.writeFileSync(`${folder}/vectors.json`, JSON.stringify({ commands }));
console.log(`vectors: ${count} modules, ${commands.length} commands`);
