// Plays Envoy to the module that counts connections. Standard input: {"module": base64, "events": [["open" | "close", source, destination]]}.
// Standard output: {"refused": [for each event, whether its connection was closed], "counted": the counter of refused ones}.

import { readFileSync } from "node:fs";

const { module, events } = JSON.parse(readFileSync(0, "utf8"));
const properties = {};
const counters = {};
let closed = 0;

const memory = () => new DataView(instance.exports.memory.buffer);
const text = (at, size) => Buffer.from(instance.exports.memory.buffer, at, size).toString();

function give(value, toPointer, toSize) {
  const at = instance.exports.proxy_on_memory_allocate(value.length);
  Buffer.from(instance.exports.memory.buffer).write(value, at, "latin1");
  memory().setUint32(toPointer, at, true);
  memory().setUint32(toSize, value.length, true);
  return 0;
}

const host = {
  proxy_get_property: (path, size, toPointer, toSize) => give(properties[text(path, size)], toPointer, toSize),
  proxy_close_stream: (kind) => {
    if (kind !== 2) throw new Error(`${kind} is not the caller's side`);
    closed += 1;
    return 0;
  },
  proxy_define_metric: (_kind, name, size, toNumber) => {
    counters[7] = [text(name, size), 0];
    memory().setUint32(toNumber, 7, true);
    return 0;
  },
  proxy_increment_metric: (number, by) => {
    counters[number][1] += Number(by);
    return 0;
  },
};

const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(module, "base64")), { env: host });
if (instance.exports.proxy_on_vm_start(1, 0) !== 1) throw new Error("it does not start");

const refused = events.map(([event, source, destination]) => {
  const before = closed;
  properties["source\0address"] = source;
  properties["destination\0address"] = destination;
  if (event === "open") {
    const stops = instance.exports.proxy_on_new_connection(2) === 1;
    if (stops !== closed > before) throw new Error("it goes on with what it closed");
  } else {
    instance.exports.proxy_on_done(2);
  }
  return closed > before;
});
console.log(JSON.stringify({ refused, counted: Object.fromEntries(Object.values(counters)) }));
