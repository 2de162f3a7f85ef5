// What the TypeScript clients share: the command line, the packages, and the report.
//
//   node CLIENT.mjs MODE CALLS http URL | sse URL | stdio COMMAND...
//
// MODE is `legacy`, `auto` or a revision to insist on; CALLS is JSON, {tool: arguments}.
// MCP_GATEWAY_TEST_NODE names the folder that tests/setup/node.sh made. One JSON object
// is printed: {protocol, tools: [name], resources: [uri], prompts: [name], results: {tool: result}}.

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const installed = createRequire(join(process.env.MCP_GATEWAY_TEST_NODE, "package.json"));

export const load = (name) => installed(name);

export const errand = () => {
  const [mode, calls, door, ...target] = process.argv.slice(2);
  return { mode, calls: JSON.parse(calls), door, target };
};

// `transports` has one function per door: (target) => a transport not yet started; `protocol` tells the revision agreed on.
export const run = async ({ client, transports, protocol }) => {
  const { calls, door, target } = errand();
  await client.connect(transports[door](target));
  const { tools } = await client.listTools();
  const { resources } = await client.listResources();
  const { prompts } = await client.listPrompts();
  const results = {};
  for (const [name, args] of Object.entries(calls)) {
    results[name] = await client.callTool({ name, arguments: args });
  }
  const report = {
    protocol: protocol(),
    tools: tools.map((each) => each.name),
    resources: resources.map((each) => each.uri),
    prompts: prompts.map((each) => each.name),
    results,
  };
  await client.close();
  console.log(JSON.stringify(report));
};
