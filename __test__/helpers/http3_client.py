"""Clients of HTTP/3 on aioquic, driven by lines of JSON: commands on stdin, replies and events on stdout. With the path of
a Unix socket as its argument it listens there, for many users, until stdin ends.

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
from aioquic.quic.connection import ACK_FRAME_CAPACITY, MAX_STREAM_DATA_FRAME_CAPACITY, QuicConnection
from aioquic.quic import events
from aioquic.quic.packet import QuicFrameType, pull_ack_frame, push_ack_frame
from aioquic.quic.rangeset import RangeSet
from aioquic.tls import CipherSuite, SessionTicket
from cryptography.hazmat.primitives.serialization import Encoding

SETTINGS = 0x4
GOAWAY = 0x7


# Bytes that the server may send ahead of a user who gives credit, as those that the system takes for a socket.
WINDOW = 1 << 20

# What the sender of a request body may leave with its client: as much as the system takes for a socket.
SEND_BUFFER = 1 << 18

# Bytes of the three numbers at the end of an ACK that tells of marks.
ECN_COUNTS_CAPACITY = 3 * 8


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


class CreditedConnection(QuicConnection):
    """Gives credit to the streams of the server for what the user has taken of them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Bytes of bodies that were passed on to the user and not taken, by stream.
        self.untaken = {}

    def _write_stream_limits(self, builder, space, stream):
        if not stream.max_stream_data_local:
            return
        limit = stream.receiver.starting_offset() - self.untaken.get(stream.stream_id, 0) + WINDOW
        if limit > stream.max_stream_data_local:
            stream.max_stream_data_local = limit
        if stream.max_stream_data_local - stream.max_stream_data_local_sent > WINDOW // 4:
            buffer = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            buffer.push_uint_var(stream.stream_id)
            buffer.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local


class CountedRanges(RangeSet):
    """The packets of a number space that have arrived, counted by the mark that `connection` has seen."""

    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        self.counts = [0, 0, 0, 0]

    def add(self, start, *rest):
        self.counts[self.connection.mark] += 1
        super().add(start, *rest)


class MarkingConnection(QuicConnection):
    """Tells the server which marks have arrived (RFC 9000 §13.4.1), and knows what the server tells of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The mark of the datagram that is being read.
        self.mark = 0
        # ECT(0), ECT(1) and CE, as the server has told last, by encryption level.
        self.told = {}

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        for space in self._spaces.values():
            space.ack_queue = CountedRanges(self)

    def _write_ack_frame(self, builder, space, now):
        delay = int((now - space.largest_received_time) * 1000000) >> self._local_ack_delay_exponent
        buf = builder.start_frame(
            QuicFrameType.ACK_ECN,
            capacity=ACK_FRAME_CAPACITY,
            handler=self._on_ack_delivery,
            handler_args=(space, space.largest_received_packet),
        )
        _, ect1, ect0, ce = space.ack_queue.counts
        push_ack_frame(buf, space.ack_queue, delay, builder.remaining_buffer_space - ECN_COUNTS_CAPACITY)
        for count in (ect0, ect1, ce):
            buf.push_uint_var(count)
        space.ack_at = None

    def _handle_ack_frame(self, context, frame_type, buf):
        start = buf.tell()
        super()._handle_ack_frame(context, frame_type, buf)
        if frame_type == QuicFrameType.ACK_ECN:
            end = buf.tell()
            buf.seek(start)
            pull_ack_frame(buf)
            self.told[context.epoch.name] = [buf.pull_uint_var() for _ in range(3)]
            buf.seek(end)


class MarkingTransport(asyncio.DatagramTransport):
    """A UDP socket that marks what it sends (RFC 3168), and sees the marks of what arrives."""

    def __init__(self, loop, sock, address, protocol, mark):
        super().__init__()
        self.loop, self.sock, self.address, self.protocol = loop, sock, address, protocol
        # Datagrams that have arrived, by mark: none, ECT(1), ECT(0), CE.
        self.marks = [0, 0, 0, 0]
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.mark(mark)
        loop.add_reader(sock, self.read)
        protocol.connection_made(self)

    def mark(self, mark):
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark)

    def read(self):
        try:
            data, about, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4))
        except (BlockingIOError, ConnectionRefusedError):
            return
        for level, kind, value in about:
            if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                self.protocol._quic.mark = value[0] & 0b11
                self.marks[value[0] & 0b11] += 1
        self.protocol.datagram_received(data, self.address)

    def sendto(self, data, addr=None):
        self.sock.send(data)

    def is_closing(self):
        return self.sock.fileno() < 0

    def close(self):
        if not self.is_closing():
            self.loop.remove_reader(self.sock)
            self.sock.close()

    abort = close


class Client(QuicConnectionProtocol):
    def __init__(self, quic, program, name, is_raw):
        super().__init__(quic)
        self.program = program
        self.name = name
        self.is_raw = is_raw
        self.h3 = None
        self.is_ready = asyncio.get_running_loop().create_future()
        self.control = {}
        self.has_told_close = False
        # Streams with more data than SEND_BUFFER, and what waits until it is less.
        self.crowded = {}

    def tell(self, event, **what):
        self.program.tell({"c": self.name, "event": event, **what})

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        # aioquic tells of a CONNECTION_CLOSE once its draining period is over.
        if self._quic._close_event is not None:
            self.told_close(self._quic._close_event)
        for stream, waiter in list(self.crowded.items()):
            if not self.is_crowded(stream):
                self.crowded.pop(stream).set_result(None)

    def transmit(self):
        if not self._transport.is_closing():
            super().transmit()

    def error_received(self, error):
        if not self.is_ready.done():
            self.is_ready.set_result({"error": "refused" if isinstance(error, ConnectionRefusedError) else str(error)})

    async def ping(self):
        try:
            await super().ping()
        except ConnectionError:
            pass

    def is_crowded(self, stream):
        sender = self._quic._streams[stream].sender if stream in self._quic._streams else None
        return sender is not None and sender._reset_error_code is None and len(sender._buffer) > SEND_BUFFER

    def has_room(self, stream):
        """What waits until a stream has room for more data; None if it has."""
        if not self.is_crowded(stream):
            return None
        return self.crowded.setdefault(stream, self._loop.create_future())

    def told_close(self, event):
        if self.has_told_close:
            return
        self.has_told_close = True
        what = {"code": event.error_code, "frame": event.frame_type, "reason": event.reason_phrase}
        if not self.is_ready.done():
            self.is_ready.set_result({"error": "connection closed", **what})
        for waiter in self.crowded.values():
            waiter.set_result(None)
        self.crowded.clear()
        self.tell("closed", **what)

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            if not self.is_raw:
                self.h3 = Connection(self._quic)
            if not self.is_ready.done():
                certificate = self._quic.tls._peer_certificate
                pem = None if certificate is None else certificate.public_bytes(Encoding.PEM).decode()
                told = {
                    "alpn": event.alpn_protocol,
                    "resumed": event.session_resumed,
                    "early": event.early_data_accepted,
                    "version": self._quic._version,
                    "cipherSuite": self._quic.tls.key_schedule.cipher_suite.name,
                    "certificate": pem,
                }
                self.is_ready.set_result(told)
        elif isinstance(event, events.ConnectionTerminated):
            self.told_close(event)
            self._transport.close()
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
            if isinstance(self._quic, CreditedConnection):
                self._quic.untaken[event.stream_id] = self._quic.untaken.get(event.stream_id, 0) + len(event.data)
            self.tell("data", stream=event.stream_id, data=to_text(event.data), end=event.stream_ended)


class Program:
    """The clients of one user."""

    def __init__(self, write):
        self.write = write
        self.clients = {}
        self.transports = {}
        self.tickets = {}
        self.tokens = {}

    def tell(self, message):
        self.write((json.dumps(message) + "\n").encode())

    async def run(self, reader):
        self.tell({"event": "started"})
        while line := await reader.readline():
            command = json.loads(line)
            try:
                result = getattr(self, "do_" + command["op"])(command)
            except Exception as error:
                self.refuse(command, error)
                continue
            if not asyncio.iscoroutine(result) and not asyncio.isfuture(result):
                self.tell({"n": command["n"], **(result or {})})
            elif asyncio.isfuture(result) or command["op"] in ("connect", "rebind", "finish"):
                asyncio.ensure_future(self.reply(command, result))
            else:
                await self.reply(command, result)
        for transport in self.transports.values():
            transport.abort()

    async def reply(self, command, result):
        try:
            self.tell({"n": command["n"], **(await result or {})})
        except Exception as error:
            self.refuse(command, error)

    def refuse(self, command, error):
        self.tell({"n": command["n"], "error": f"{type(error).__name__}: {error}"})

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
        if "cipherSuite" in command:
            configuration.cipher_suites = [CipherSuite[command["cipherSuite"]]]
        if "cafile" in command:
            configuration.load_verify_locations(cafile=command["cafile"])
            configuration.verify_mode = ssl.CERT_REQUIRED
        if "cert" in command:
            configuration.load_cert_chain(command["cert"], command["key"])
        if command.get("resume") in self.tickets:
            configuration.session_ticket = self.tickets[command["resume"]]
        if command.get("early"):
            # As if the server had allowed it.
            configuration.session_ticket.max_early_data_size = 0xFFFFFFFF
        if command.get("resume") in self.tokens:
            configuration.token = self.tokens[command["resume"]]

        def keep_ticket(ticket: SessionTicket):
            self.tickets[name] = ticket

        def keep_token(token: bytes):
            self.tokens[name] = token

        make = CreditedConnection if command.get("credit") else MarkingConnection if "mark" in command else QuicConnection
        quic = make(
            configuration=configuration, session_ticket_handler=keep_ticket, token_handler=keep_token,
        )
        if "maxStreamsUni" in command:
            quic._local_max_streams_uni.value = command["maxStreamsUni"]
        loop = asyncio.get_running_loop()
        host = command.get("host", "127.0.0.1")
        [(family, _, _, _, address), *_] = await loop.getaddrinfo(host, command["port"], type=socket.SOCK_DGRAM)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        if "localAddress" in command:
            sock.bind((command["localAddress"], command.get("localPort", 0)))
        # So that it hears that nobody listens there.
        sock.connect(address)
        create = partial(Client, quic, self, name, command.get("raw", False))
        if "mark" in command:
            client = create()
            transport = MarkingTransport(loop, sock, address, client, command["mark"])
        else:
            transport, client = await loop.create_datagram_endpoint(create, sock=sock)
        self.clients[name], self.transports[name] = client, transport
        if command.get("hold"):
            self.do_hold({"c": name, "on": True})
        client.connect(address, transmit=not command.get("early"))
        if command.get("early"):
            client._quic.send_stream_data(2, b"\x00\x04\x00")
            client._quic.send_stream_data(0, base64.b64decode(command["early"]), end_stream=True)
            client.transmit()
        result = await asyncio.wait_for(asyncio.shield(client.is_ready), command.get("timeout", 30))
        local, remote = sock.getsockname(), address
        return {**result, "localAddress": local[0], "localPort": local[1], "remoteAddress": remote[0]}

    def do_initials(self, command):
        """First datagrams of clients that never go on."""
        datagrams = []
        for _ in range(command["count"]):
            quic = QuicConnection(configuration=QuicConfiguration(
                is_client=True, alpn_protocols=H3_ALPN, server_name="localhost",
            ))
            quic.connect(("127.0.0.1", 1), now=0)
            [(datagram, _), *_] = quic.datagrams_to_send(now=0)
            datagrams.append(to_text(datagram))
        return {"datagrams": datagrams}

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
        return client.has_room(command["stream"]) if command.get("wait") else None

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
        client = self.clients[command["c"]]
        quic = client._quic
        if command["on"]:
            quic._write_stream_limits = lambda *args, **kwargs: None
            quic._write_connection_limits = lambda *args, **kwargs: None
        elif "_write_stream_limits" in vars(quic):
            del quic._write_stream_limits
            del quic._write_connection_limits
            quic.send_ping(0)
            client.transmit()

    def do_credit(self, command):
        """The user has taken so many bytes of a stream."""
        client = self.clients[command["c"]]
        client._quic.untaken[command["stream"]] -= command["bytes"]
        client.transmit()

    async def do_ping(self, command):
        await self.clients[command["c"]].ping()

    def do_close(self, command):
        client = self.clients[command["c"]]
        # With a frame, it is an error of the transport (RFC 9000 §19.19).
        client._quic.close(
            error_code=command.get("code", 0x100),
            frame_type=command.get("frame"),
            reason_phrase=command.get("reason", ""),
        )
        client.transmit()

    async def do_finish(self, command):
        """Closes the connection once the server has what was sent, as the FIN of a socket comes behind its data."""
        client = self.clients[command["c"]]
        if client.h3 is not None and not client.has_told_close:
            await asyncio.wait_for(client.ping(), 5)
        self.do_close(command)

    def do_vanish(self, command):
        """Says nothing any more, as a machine that has lost its power."""
        self.transports[command["c"]].abort()

    def do_change_id(self, command):
        self.clients[command["c"]].change_connection_id()

    def do_mark(self, command):
        """Marks what is sent from now on."""
        self.transports[command["c"]].mark(command["mark"])

    def do_marks(self, command):
        """Which marks have arrived, and which ones the server has told of."""
        client, transport = self.clients[command["c"]], self.transports[command["c"]]
        return {"arrived": transport.marks, "told": client._quic.told}

    def do_key_update(self, command):
        client = self.clients[command["c"]]
        client._quic.request_key_update()
        client.transmit()


LIMIT = 1 << 26


async def read_stdin():
    reader = asyncio.StreamReader(limit=LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def serve(reader, writer):
    try:
        await Program(writer.write).run(reader)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    stdin = await read_stdin()
    if len(sys.argv) > 1:
        await asyncio.start_unix_server(serve, sys.argv[1], limit=LIMIT)
        print("listening", flush=True)
        await stdin.read()
    else:

        def write(data):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()

        await Program(write).run(stdin)


asyncio.run(main())
