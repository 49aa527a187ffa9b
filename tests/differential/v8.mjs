// What scripts of the official suite's JSON form say of values and traps that V8 gave: for expect.mjs and smith.mjs.

// Arguments by type; reference n is a host object on this side and host reference n in the script.
export const HOST = [0, 1, 2, 3].map((number) => ({ number }));
export const CALLS = [
  { i32: 0, i64: 0n, f32: 0, f64: 0, externref: null, funcref: null },
  { i32: 1, i64: -1n, f32: 1.5, f64: -2.25, externref: HOST[1], funcref: null },
  { i32: -2147483648, i64: 0x7fffffffffffffffn, f32: -0, f64: 1e300, externref: HOST[2], funcref: null },
  { i32: 77777, i64: 123456789012345n, f32: 3e-40, f64: Infinity, externref: HOST[3], funcref: null },
];
// An argument or an expectation. A function reference is only told from null.

export function constant(type, value) {
  if (type === "externref") {
    return { type, value: value === null ? "null" : String(value.number) };
  }
  if (type === "funcref") {
    return value === null ? { type, value: "null" } : { type };
  }
  const view = new DataView(new ArrayBuffer(8));
  ({
    i32: () => view.setInt32(0, value),
    i64: () => view.setBigInt64(0, value),
    f32: () => view.setFloat32(0, value),
    f64: () => view.setFloat64(0, value),
  })[type]();
  return { type, value: String(type.endsWith("64") ? view.getBigUint64(0) : view.getUint32(0)) };
}

// The words of the official suite for V8's message; empty (anything matches) where V8 does not tell cases apart: calls
// through tables, conversions to integers, exceptions' kinds.
export function trapText(message) {
  const texts = [
    ["unreachable", "unreachable"],
    ["memory access out of bounds", "out of bounds memory access"],
    ["data segment", "out of bounds memory access"],
    ["table access out of bounds", "out of bounds table access"],
    ["element segment", "out of bounds table access"],
    ["divide by zero", "integer divide by zero"],
    ["remainder by zero", "integer divide by zero"],
    ["divide result unrepresentable", "integer overflow"],
    ["unaligned accesses", "unaligned atomic"],
  ];
  return (texts.find(([pattern]) => message.includes(pattern)) ?? ["", ""])[1];
}

// Call an exported function of an instance and say in a command what happened. `module`: the script's name for it, or
// undefined for the last one. JavaScript cannot see a NaN's bits, so that results with one are not compared.
export function record(commands, line, instance, module, field, type, call) {
  const args = type.parameters.map((kind) => call[kind]);
  const action = { type: "invoke", module, field, args: type.parameters.map((kind, i) => constant(kind, args[i])) };
  try {
    const result = instance.exports[field](...args);
    const results = type.results.length > 1 ? result : type.results.length === 1 ? [result] : [];
    if (results.some(Number.isNaN)) {
      commands.push({ type: "action", line, action });
    } else {
      commands.push({ type: "assert_return", line, action, expected: type.results.map((kind, i) => constant(kind, results[i])) });
    }
  } catch (error) {
    if (error instanceof WebAssembly.Exception) {
      commands.push({ type: "assert_exception", line, action });
    } else if (error instanceof WebAssembly.RuntimeError) {
      commands.push({ type: "assert_trap", line, action, text: trapText(error.message) });
    } else {
      throw error;
    }
  }
}
