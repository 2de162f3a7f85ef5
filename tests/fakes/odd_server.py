"""A legacy upstream whose answers are legal and odd, kept as bytes.

Unknown members at every level, nulls, floats that look like integers, integers that
no double holds, escapes of both kinds, `_meta`, icons, annotations, structured
content, methods of a vendor's own: whatever respells JSON on the way shows.
Served over Streamable HTTP by `odd_http`, over pipes as a program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from mcp_gateway.wire import Envelope, Raw, decode, encode, error_reply, loads, reply

TITLE = rb'"caf\u00e9 caf' + "é \\ud83d\\ude00 😀".encode() + rb' \/"'
"""Both kinds of escapes, and no character that a catalog takes out of what people read."""
TEXT = rb'"caf\u00e9 caf' + "é \\ud83d\\ude00 😀".encode() + rb' \/ \u2028"'
ODD = (
    b'{ "one":1.0, "hundred":1E+2, "minus":-0.0, "tiny":5e-324, "big":123456789012345678901234567890,'
    b' "none":null, "no":false, "empty":{}, "list":[ 1 , 1.0, null,[ ] ], "text":%b }' % TEXT
)
META = b'{"vendor.example/trace":%b,"progressToken":null}' % ODD
ICONS = b'[{"src":"data:image/png;base64,AAAA","mimeType":"image/png","sizes":["48x48"],"x":%b}]' % ODD
ANNOTATIONS = b'{"audience":["user"],"priority":1.0,"lastModified":"2026-01-01T00:00:00Z","x":%b}' % ODD
CONTENT = (
    b'[{"type":"text","text":%b,"annotations":%b,"_meta":%b,"x":%b},'
    b'{"type":"vendor.example/hologram","beams":%b},'
    b'{"type":"resource_link","uri":"odd://one","name":"one","icons":%b,"size":1.0},'
    b'{"type":"resource","resource":{"uri":"odd://one","text":"","x":null},"x":null}]'
) % (TEXT, ANNOTATIONS, META, ODD, ODD, ICONS)

SCHEMA = (
    b'{ "type":"object", "properties":{"n":{"type":"number","default":1.0,"maximum":1E+2,"x-vendor":%b}},'
    b' "$defs":{"a":{"$anchor":"here"}}, "additionalProperties":false, "required":[] }' % ODD
)
TOOLS = (
    b'{"tools":[ {"x":%(odd)b,"name":"rich","title":%(title)b,"description":%(title)b,"inputSchema":%(schema)b,'
    b'"outputSchema":%(schema)b,"annotations":{"readOnlyHint":true,"title":"","x":%(odd)b},"icons":%(icons)b,'
    b'"_meta":%(meta)b}, {"inputSchema":{"type":"object"},"name":"mirror"}'
    b',{"name":"failing","inputSchema":{"type":"object"}},{"name":"refusing","inputSchema":{"type":"object"}}'
    b'],"x":%(odd)b,"_meta":%(meta)b}'
) % {b"odd": ODD, b"title": TITLE, b"schema": SCHEMA, b"icons": ICONS, b"meta": META}

RESULTS = {
    "tools/list": TOOLS,
    "tools/call rich": b'{ "x":%b, "content":%b ,"structuredContent":%b,"_meta":%b,"isError":false }'
    % (ODD, CONTENT, ODD, META),
    "tools/call failing": b'{"isError":true,"content":%b,"x":null}' % CONTENT,
    "prompts/list": b'{"prompts":[{"name":"greet","title":%b,"arguments":[{"name":"who","required":false,"x":%b}],'
    b'"icons":%b,"_meta":%b,"x":%b}],"x":null}' % (TITLE, ODD, ICONS, META, ODD),
    "prompts/get greet": b'{"description":null,"messages":[{"role":"user","content":{"type":"text","text":%b,"x":%b},'
    b'"x":%b}],"_meta":%b,"x":%b}' % (TEXT, ODD, ODD, META, ODD),
    "resources/list": b'{"resources":[{"uri":"odd://one","name":"one","size":1.0,"annotations":%b,"icons":%b,"_meta":%b,'
    b'"x":%b}]}' % (ANNOTATIONS, ICONS, META, ODD),
    "resources/templates/list": b'{"resourceTemplates":[{"uriTemplate":"odd://{+path}","name":"any","x":%b}]}' % ODD,
    "resources/read odd://one": b'{"contents":[{"uri":"odd://one","blob":"AAEC","mimeType":null,"_meta":%b,"x":%b},'
    b'{"uri":"odd://one/part","text":%b}],"x":%b}' % (META, ODD, TEXT, ODD),
    "completion/complete": b'{"completion":{"values":[%b],"total":1.0,"hasMore":null,"x":%b},"x":%b}'
    % (TEXT, ODD, ODD),
    "vendor.example/dial": b'{"x":%b}' % ODD,
    "ping": b"{}",
    "initialize": b'{"protocolVersion":"2025-11-25","serverInfo":{"name":"odd","version":"1","x":%b},"capabilities":'
    b'{"tools":{},"prompts":{},"resources":{},"completions":{},"experimental":{"vendor.example":%b}},"x":null}'
    % (ODD, ODD),
}
"""Method, and the name or URI where it has one, to the result."""

ERRORS = {
    "tools/call refusing": b'{ "code":-32050, "message":%b, "data":%b }' % (TEXT, ODD),
    "resources/read odd://gone": b'{"code":-32002,"message":"Resource not found","data":{"uri":"odd://gone","x":%b}}'
    % ODD,
    "vendor.example/refuse": b'{"code":17,"message":"","data":[null,1.0]}',
}
NOT_FOUND = b'{"code":-32601,"message":"Method not found"}'


def answer(message: bytes) -> bytes | None:
    """The reply to one message; None when it is no request."""
    envelope = decode(message)
    if envelope.id is None:
        return None
    if (key := _key(envelope)) == "tools/call mirror":
        assert envelope.params is not None
        return reply(envelope.id, b'{"content":[],"structuredContent":%b}' % bytes(envelope.params["arguments"]))
    if key == "vendor.example/echo":
        return reply(envelope.id, encode({"params": envelope.params}))
    if key in RESULTS:
        return reply(envelope.id, RESULTS[key])
    return error_reply(envelope.id, ERRORS.get(key, NOT_FOUND))


def _key(envelope: Envelope) -> str:
    assert envelope.method is not None
    target: dict[str, Raw] = envelope.params or {}
    for member in ("name", "uri"):
        if member in target:
            return f"{envelope.method} {loads(target[member])}"
    return envelope.method


@contextmanager
def odd_http() -> Iterator[str]:
    """Serve on a free port of loopback; the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Door) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/mcp"
        finally:
            server.shutdown()
            thread.join()


class _Door(BaseHTTPRequestHandler):
    """One JSON answer to each POST, no session and no stream."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = answer(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(202 if body is None else 200, body or b"")

    def do_GET(self) -> None:
        self._send(405, b"")

    def do_DELETE(self) -> None:
        self._send(405, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


def main() -> None:
    """Serve over pipes, a message a line."""
    for line in sys.stdin.buffer:
        if (body := answer(line)) is not None:
            sys.stdout.buffer.write(body + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
