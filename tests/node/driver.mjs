// What the TypeScript clients share: the command line, the packages, and the report.
//
//   node CLIENT.mjs MODE TOOL ARGUMENTS http URL | sse URL | stdio COMMAND...
//
// MODE is `legacy`, `auto` or a revision to insist on. MCP_GATEWAY_TEST_NODE names the
// folder that tests/setup/node.sh made. One JSON object is printed:
// {protocol, tools: [name], resources: [uri], prompts: [name], result}.

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const installed = createRequire(join(process.env.MCP_GATEWAY_TEST_NODE, "package.json"));

export const load = (name) => installed(name);

export const errand = () => {
  const [mode, tool, args, door, ...target] = process.argv.slice(2);
  return { mode, tool, arguments: JSON.parse(args), door, target };
};

// `transports` has one function per door: (target) => a transport not yet started.
export const run = async ({ client, transports, protocol }) => {
  const { tool, arguments: args, door, target } = errand();
  const transport = transports[door](target);
  await client.connect(transport);
  const { tools } = await client.listTools();
  const { resources } = await client.listResources();
  const { prompts } = await client.listPrompts();
  const result = await client.callTool({ name: tool, arguments: args });
  const report = {
    protocol: protocol(transport),
    tools: tools.map((each) => each.name),
    resources: resources.map((each) => each.uri),
    prompts: prompts.map((each) => each.name),
    result,
  };
  await client.close();
  console.log(JSON.stringify(report));
};
