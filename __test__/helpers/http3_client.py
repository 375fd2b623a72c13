"""Clients of HTTP/3 on aioquic, driven by lines of JSON: commands on stdin, replies and events on stdout.

A command is `{"n": number, "op": name, "c": connection, ...}`, and its reply `{"n": number, ...}` with "error" if it
failed. An event is `{"c": connection, "event": name, ...}`. Bytes are base64. See http3.js for what each means.
"""

import asyncio
import base64
import json
import socket
import ssl
import sys
from functools import partial

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, BufferReadError
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic import events
from aioquic.tls import SessionTicket

SETTINGS = 0x4
GOAWAY = 0x7


def tell(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def to_text(data):
    return base64.b64encode(data).decode()


def headers_of(pairs):
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


class ControlStream:
    """Reads SETTINGS and GOAWAY of the server, of which aioquic tells nothing."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        frames = []
        buffer = Buffer(data=self.data)
        try:
            if buffer.pull_uint_var() != 0:
                return []
            while not buffer.eof():
                kind = buffer.pull_uint_var()
                payload = buffer.pull_bytes(buffer.pull_uint_var())
                frames.append((kind, payload))
        except BufferReadError:
            pass
        return frames


class Connection(H3Connection):
    """Knows that the response to a HEAD has no body, whatever its Content-Length says."""

    def __init__(self, quic):
        super().__init__(quic)
        self.heads = set()

    def _check_content_length(self, stream):
        if stream.stream_id not in self.heads:
            super()._check_content_length(stream)


class Client(QuicConnectionProtocol):
    def __init__(self, quic, name, is_raw):
        super().__init__(quic)
        self.name = name
        self.is_raw = is_raw
        self.h3 = None
        self.is_ready = asyncio.get_running_loop().create_future()
        self.control = {}
        self.told = 0

    def tell(self, event, **what):
        tell({"c": self.name, "event": event, **what})

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            if not self.is_raw:
                self.h3 = Connection(self._quic)
            if not self.is_ready.done():
                self.is_ready.set_result({"alpn": event.alpn_protocol, "resumed": event.session_resumed})
        elif isinstance(event, events.ConnectionTerminated):
            what = {"code": event.error_code, "frame": event.frame_type, "reason": event.reason_phrase}
            if not self.is_ready.done():
                self.is_ready.set_result({"error": "connection closed", **what})
            self.tell("closed", **what)
        elif isinstance(event, events.StreamReset):
            self.tell("reset", stream=event.stream_id, code=event.error_code)
        elif isinstance(event, events.StopSendingReceived):
            self.tell("stop", stream=event.stream_id, code=event.error_code)
        elif isinstance(event, events.StreamDataReceived):
            self.stream_received(event)
        if self.h3 is not None:
            for told in self.h3.handle_event(event):
                self.h3_received(told)

    def stream_received(self, event):
        if event.stream_id % 4 == 3:
            control = self.control.setdefault(event.stream_id, ControlStream())
            frames = control.feed(event.data)
            for kind, payload in frames[getattr(control, "told", 0):]:
                buffer = Buffer(data=payload)
                if kind == SETTINGS:
                    settings = {}
                    while not buffer.eof():
                        name = buffer.pull_uint_var()
                        settings[hex(name)] = buffer.pull_uint_var()
                    self.tell("settings", settings=settings)
                elif kind == GOAWAY:
                    self.tell("goaway", stream=buffer.pull_uint_var())
            control.told = max(len(frames), getattr(control, "told", 0))
        if self.is_raw:
            self.tell("bytes", stream=event.stream_id, data=to_text(event.data), end=event.end_stream)

    def h3_received(self, event):
        if isinstance(event, HeadersReceived):
            headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in event.headers]
            self.tell("headers", stream=event.stream_id, headers=headers, end=event.stream_ended)
        elif isinstance(event, DataReceived):
            self.tell("data", stream=event.stream_id, data=to_text(event.data), end=event.stream_ended)


class Program:
    def __init__(self):
        self.clients = {}
        self.transports = {}
        self.tickets = {}
        self.tokens = {}

    async def run(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 26)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        tell({"event": "started"})
        while line := await reader.readline():
            command = json.loads(line)
            if command["op"] in ("connect", "rebind"):
                asyncio.ensure_future(self.reply(command))
            else:
                await self.reply(command)

    async def reply(self, command):
        try:
            result = getattr(self, "do_" + command["op"])(command)
            if asyncio.iscoroutine(result):
                result = await result
            tell({"n": command["n"], **(result or {})})
        except Exception as error:
            tell({"n": command["n"], "error": f"{type(error).__name__}: {error}"})

    async def do_connect(self, command):
        name = command["c"]
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=command.get("alpn", H3_ALPN),
            server_name=command.get("serverName", "localhost"),
            verify_mode=ssl.CERT_NONE,
        )
        for option, attribute in (
            ("idleTimeout", "idle_timeout"), ("maxData", "max_data"), ("maxStreamData", "max_stream_data"),
            ("maxDatagramSize", "max_datagram_size"), ("versions", "supported_versions"),
        ):
            if option in command:
                setattr(configuration, attribute, command[option])
        if "versions" in command:
            configuration.original_version = command["versions"][0]
        if "cafile" in command:
            configuration.load_verify_locations(cafile=command["cafile"])
            configuration.verify_mode = ssl.CERT_REQUIRED
        if "cert" in command:
            configuration.load_cert_chain(command["cert"], command["key"])
        if command.get("resume") in self.tickets:
            configuration.session_ticket = self.tickets[command["resume"]]
        if command.get("resume") in self.tokens:
            configuration.token = self.tokens[command["resume"]]

        def keep_ticket(ticket: SessionTicket):
            self.tickets[name] = ticket

        def keep_token(token: bytes):
            self.tokens[name] = token

        quic = QuicConnection(
            configuration=configuration, session_ticket_handler=keep_ticket, token_handler=keep_token,
        )
        if "maxStreamsUni" in command:
            quic._local_max_streams_uni.value = command["maxStreamsUni"]
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        create = partial(Client, quic, name, command.get("raw", False))
        transport, client = await loop.create_datagram_endpoint(create, sock=sock)
        self.clients[name], self.transports[name] = client, transport
        if command.get("hold"):
            self.do_hold({"c": name, "on": True})
        client.connect(("127.0.0.1", command["port"]))
        result = await asyncio.wait_for(asyncio.shield(client.is_ready), command.get("timeout", 30))
        return {**result, "localPort": sock.getsockname()[1]}

    async def do_rebind(self, command):
        """Goes on from another port, as behind a NAT that has forgotten the old one."""
        client = self.clients[command["c"]]
        loop = asyncio.get_running_loop()

        class Relay(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                client.datagram_received(data, addr)

        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        transport, _ = await loop.create_datagram_endpoint(Relay, sock=sock)
        old, client._transport = client._transport, transport
        old.abort()
        self.transports[command["c"]] = transport
        return {"localPort": sock.getsockname()[1]}

    def do_request(self, command):
        client = self.clients[command["c"]]
        stream = client._quic.get_next_available_stream_id()
        if [":method", "HEAD"] in command["headers"]:
            client.h3.heads.add(stream)
        client.h3.send_headers(stream, headers_of(command["headers"]), end_stream=command.get("end", False))
        client.transmit()
        return {"stream": stream}

    def do_data(self, command):
        client = self.clients[command["c"]]
        data = base64.b64decode(command.get("data", ""))
        client.h3.send_data(command["stream"], data, end_stream=command.get("end", False))
        client.transmit()

    def do_trailers(self, command):
        client = self.clients[command["c"]]
        client.h3.send_headers(command["stream"], headers_of(command["headers"]), end_stream=True)
        client.transmit()

    def do_bytes(self, command):
        """Bytes as they are, on a stream that is given or, with "kind", on a new one."""
        client = self.clients[command["c"]]
        stream = command.get("stream")
        if stream is None:
            stream = client._quic.get_next_available_stream_id(is_unidirectional=command["kind"] == "uni")
        data = base64.b64decode(command.get("data", ""))
        client._quic.send_stream_data(stream, data, end_stream=command.get("end", False))
        client.transmit()
        return {"stream": stream}

    def do_control(self, command):
        """Bytes on the control stream."""
        client = self.clients[command["c"]]
        client._quic.send_stream_data(client.h3._local_control_stream_id, base64.b64decode(command["data"]))
        client.transmit()

    def do_streams(self, command):
        """The numbers of the client's unidirectional streams."""
        h3 = self.clients[command["c"]].h3
        return {
            "control": h3._local_control_stream_id,
            "encoder": h3._local_encoder_stream_id,
            "decoder": h3._local_decoder_stream_id,
        }

    def do_reset(self, command):
        client = self.clients[command["c"]]
        client._quic.reset_stream(command["stream"], command["code"])
        client.transmit()

    def do_stop(self, command):
        client = self.clients[command["c"]]
        client._quic.stop_stream(command["stream"], command["code"])
        client.transmit()

    def do_hold(self, command):
        """Gives the server no further credit, or gives it again."""
        quic = self.clients[command["c"]]._quic
        if command["on"]:
            quic._write_stream_limits = lambda *args, **kwargs: None
            quic._write_connection_limits = lambda *args, **kwargs: None
        else:
            del quic._write_stream_limits
            del quic._write_connection_limits
            quic.send_ping(0)
            self.clients[command["c"]].transmit()

    async def do_ping(self, command):
        await self.clients[command["c"]].ping()

    def do_close(self, command):
        client = self.clients[command["c"]]
        client.close(error_code=command.get("code", 0x100), reason_phrase=command.get("reason", ""))

    def do_vanish(self, command):
        """Says nothing any more, as a machine that has lost its power."""
        self.transports[command["c"]].abort()

    def do_key_update(self, command):
        client = self.clients[command["c"]]
        client._quic.request_key_update()
        client.transmit()


asyncio.run(Program().run())
