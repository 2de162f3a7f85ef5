// The version 1 TypeScript SDK's client, which knows the `initialize` handshake alone.

import { load, run } from "./driver.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { SSEClientTransport } = load("@modelcontextprotocol/sdk/client/sse.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");

let negotiated;

// The client tells its transport what was negotiated, and nobody else.
const overheard = (transport) => {
  const told = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => {
    negotiated = version;
    told?.(version);
  };
  return transport;
};

await run({
  client: new Client({ name: "ts-v1", version: "1" }),
  transports: {
    http: ([url]) => overheard(new StreamableHTTPClientTransport(new URL(url))),
    sse: ([url]) => overheard(new SSEClientTransport(new URL(url))),
    stdio: ([command, ...args]) => overheard(new StdioClientTransport({ command, args, stderr: "inherit" })),
  },
  protocol: () => negotiated,
});
