// The version 2 TypeScript SDK's client: legacy, auto, or insisting on one revision.

import { errand, load, run } from "./driver.mjs";

const { Client, SSEClientTransport, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");

const { mode } = errand();
const client = new Client(
  { name: "ts-v2", version: "2" },
  { versionNegotiation: { mode: ["legacy", "auto"].includes(mode) ? mode : { pin: mode } } },
);

await run({
  client,
  transports: {
    http: ([url]) => new StreamableHTTPClientTransport(new URL(url)),
    sse: ([url]) => new SSEClientTransport(new URL(url)),
    stdio: ([command, ...args]) => new StdioClientTransport({ command, args, stderr: "inherit" }),
  },
  protocol: () => client.getNegotiatedProtocolVersion(),
});
