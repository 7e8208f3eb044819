# SPDX-License-Identifier: Apache-2.0
"""smuggling.py - requests that two servers may read in different ways

The known ways to hide a request, or a field, in what one server takes for
something else. Each case has the bytes, what berth answers (200 is the
backend's, so the request was passed on), and how many requests HAProxy passes
on in front of the same backend; where that differs, `why` says why.
"""

import re
from dataclasses import dataclass

CONTROL = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Case:
    name: str
    data: bytes
    berth: int
    haproxy: int
    why: str = ""


CASES = []
WAITS = -1  # HAProxy passes on the head, and waits for the rest


def _case(name, data, berth, haproxy=None, why=""):
    passes = int(berth == 200)
    case = Case(name, data, berth, passes if haproxy is None else haproxy, why)
    assert (case.haproxy != passes) == bool(why), name
    CASES.append(case)


def get(*lines, target="/", version="1.1", host=b"Host: a\r\n"):
    """A GET request with these lines behind Host."""
    return (f"GET {target} HTTP/{version}\r\n".encode("latin-1") + host
            + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


def post(*lines, body=b"", version="1.1"):
    return (f"POST / HTTP/{version}\r\nHost: a\r\n".encode()
            + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)


def chunked(body, *lines):
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


# Why HAProxy differs

UNDERSCORE = "CGI makes the same variable of both"
BOTH = "RFC 9112, 6.3: such a request may be refused. HAProxy drops the length"
CONTROLS = "RFC 9110, 5.5: refused; HAProxy passes them on"
FOLD = "RFC 9112, 5.2: a server may refuse it; HAProxy unfolds it"
LF = "RFC 9112, 2.2: a server may take it, and not each does"
HOST = "RFC 9112, 3.2: refused; HAProxy 2.6 does not look at it"
FORM = "RFC 9112, 3.2 has no such target; HAProxy 2.6 passes it on"
ONE = "a connection has one request: what follows is never passed on"

# Two lengths: CL.TE, TE.CL

_case("CL.TE", post(b"Content-Length: 38", b"Transfer-Encoding: chunked",
                    body=b"0\r\n\r\n" + HIDDEN), 400, 1, BOTH)
_case("TE.CL", post(b"Transfer-Encoding: chunked", b"Content-Length: 4",
                    body=b"21\r\n" + HIDDEN + b"\r\n0\r\n\r\n"),
      400, 1, BOTH)
_case("CL twice, the same", post(b"Content-Length: 2", b"Content-Length: 2",
                                 body=b"ab"), 400, 1,
      "HAProxy merges what is the same")
_case("CL twice, different", post(b"Content-Length: 0", b"Content-Length: 33",
                                  body=HIDDEN), 400)
_case("CL twice, in other case", post(b"Content-Length: 0",
                                      b"content-LENGTH: 33", body=HIDDEN), 400)
_case("CL as a list", post(b"Content-Length: 2, 2", body=b"ab"), 400, 1,
      "HAProxy merges what is the same")
_case("CL as a list of two", post(b"Content-Length: 0, 33", body=HIDDEN), 400)

# Lengths that are read in different ways

for length in (b"+2", b"-1", b"0x2", b"2.0", b"2 2", b"2;", b"", b"2a",
               b"\"2\""):
    _case(f"CL {length.decode()!r}", post(b"Content-Length: " + length,
                                          body=b"ab"), 400)
_case("CL of more than 64 bits",
      post(b"Content-Length: 18446744073709551618", body=b"ab"), 413, WAITS,
      "HAProxy reads no body before it passes on the head")
_case("CL 02", post(b"Content-Length: 02", body=b"ab"), 200)
_case("CL behind a tab", post(b"Content-Length:\t2\t ", body=b"ab"), 200)
_case("CL behind a vertical tab", post(b"Content-Length: \x0b2", body=b"ab"),
      400)
_case("CL with an underscore", post(b"Content_Length: 33", body=HIDDEN), 400,
      2, UNDERSCORE)
_case("CL with a space before the colon",
      post(b"Content-Length : 33", body=HIDDEN), 400)
_case("CL behind a NUL", post(b"Content-Length: \x002", body=b"ab"), 400)

# Transfer-Encoding that one server knows and another does not: TE.TE

for value in (b"identity", b"xchunked", b"chunked, identity", b"gzip, chunked",
              b"chunked, chunked", b"chunked,", b",chunked", b"chunked;q=1",
              b'"chunked"', b"chunk", b"", b"chunked\x0c", b"\x0bchunked",
              b"chunked\x00", b"cow"):
    _case(f"TE {value!r}", post(b"Transfer-Encoding: " + value,
                                body=b"0\r\n\r\n"),
          400 if CONTROL.search(value) else 501,
          int(value == b"chunked,"),
          "HAProxy ignores the comma" if value == b"chunked," else "")
_case("TE twice", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), 400)
_case("TE, then another",
      chunked(b"0\r\n\r\n", b"Transfer-Encoding: cow"), 400)
_case("another, then TE", post(b"Transfer-Encoding: cow",
                               b"Transfer-Encoding: chunked",
                               body=b"0\r\n\r\n"), 501)
_case("TE with a space before the colon",
      post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400)
_case("TE with a tab before the colon",
      post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400)
_case("TE with an underscore",
      post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n"), 400, 1,
      UNDERSCORE)
_case("TE in a folded line",
      post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), 501, 1,
      FOLD)
_case("TE behind a space", post(b" Transfer-Encoding: chunked",
                                body=b"0\r\n\r\n"), 400, 1, FOLD)
_case("TE behind a bare CR", post(b"A: b\rTransfer-Encoding: chunked",
                                  body=b"0\r\n\r\n"), 400)
_case("TE behind a bare LF", post(b"A: b\nTransfer-Encoding: chunked",
                                  body=b"0\r\n\r\n"), 400, 1, LF)
_case("TE behind a NUL", post(b"A: b\0Transfer-Encoding: chunked",
                              body=b"0\r\n\r\n"), 400, 1, CONTROLS)
_case("TE Chunked",
      post(b"Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), 200)
_case("TE in HTTP/1.0", post(b"Transfer-Encoding: chunked", version="1.0",
                             body=b"0\r\n\r\n"), 400, 1,
      "RFC 9112, 6.1: such a message has faulty framing")
_case("TE of a GET", get(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 200)

# Chunks

_case("chunks", chunked(b"5\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\n"), 200)
_case("a chunk that hides a request",
      chunked(b"21\r\n" + HIDDEN + b"\r\n0\r\n\r\n"), 200)
_case("a chunk's extension", chunked(b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n"), 200)
_case("an extension with a bare LF",
      chunked(b"2;\nxx\r\n21\r\n0\r\n\r\n" + HIDDEN), 400)
_case("an extension with a bare CR",
      chunked(b"2;\rxx\r\nab\r\n0\r\n\r\n"), 400)
for size in (b"0x2", b"+2", b"-2", b" 2", b"", b"g", b"2,",
             b"10000000000000002"):
    _case(f"size {size.decode()!r} of a chunk",
          chunked(size + b"\r\nab\r\n0\r\n\r\n"), 400)
_case("a size of 64 bits",
      chunked(b"fffffffffffffffe\r\nab\r\n0\r\n\r\n"), 413)
_case("a size with a space behind it",
      chunked(b"2 \r\nab\r\n0\r\n\r\n"), 400, 1, "no grammar has it")
_case("a size with bare LF", chunked(b"2\nab\r\n0\r\n\r\n"), 400, 1, LF)
_case("a chunk with bare LF", chunked(b"2\r\nab\n0\r\n\r\n"), 400, 1, LF)
_case("a chunk that is too long", chunked(b"2\r\nabXX0\r\n\r\n"), 400)
_case("a chunk that is too short", chunked(b"4\r\nab\r\n0\r\n\r\n"), 400)
_case("a trailer", chunked(b"0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"), 200)
_case("a trailer that frames", chunked(b"0\r\nContent-Length: 33\r\n\r\n"
                                       + HIDDEN), 400, 2,
      "RFC 9110, 6.5.1: no trailer may frame")
_case("a trailer that is none", chunked(b"0\r\nGET /hidden HTTP/1.1\r\n\r\n"),
      400)
_case("no end behind the last chunk", chunked(b"0\r\n"), 400)

# Lines

_case("bare LF", b"GET / HTTP/1.1\nHost: a\n\n", 400, 1, LF)
_case("bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, 1, LF)
_case("bare CR at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400)
_case("bare CR in a value", get(b"A: b\rC: d"), 400)
_case("a folded line", get(b"A: b", b" c"), 400, 1, FOLD)
_case("a folded line that is empty", get(b"A: b", b"\t"), 400, 1, FOLD)
_case("a first field behind a space", get(host=b" Host: a\r\n"), 400)
_case("an empty line first", b"\r\n" + get(), 400, 1,
      "old clients end a body so; there is no request before this one")
_case("a space before the method", b" " + get(), 400)

# Names and values

for byte in (b"\0", b"\x01", b"\x7f", b"\x80", b"\xff", b" ", b"\t", b"(",
             b'"', b"/", b"=", b"@", b"[", b"{"):
    _case(f"a name with {byte!r}", get(b"X" + byte + b"Y: z"), 400)
for byte in (b"!", b"'", b"_", b".", b"|", b"~"):
    _case(f"a name with {byte!r}", get(b"X" + byte + b"Y: z"), 200)
for byte in (b"\0", b"\x01", b"\x0b", b"\x7f"):
    _case(f"a value with {byte!r}", get(b"X: y" + byte), 400, 1, CONTROLS)
_case("a value with a byte from 0x80 on", get(b"X: \x80\xff"), 200)
_case("a field without a name", get(b": b"), 400)
_case("a field without a colon", get(b"A"), 400)
_case("a hundred fields", get(*[b"A: b"] * 99), 200)
_case("a hundred and one fields", get(*[b"A: b"] * 100), 431)

# Hosts and targets

_case("no Host", get(host=b""), 400, 1, HOST)
_case("no Host in HTTP/1.0", get(host=b"", version="1.0"), 200)
_case("Host twice", get(b"Host: a"), 400, 1, HOST)
_case("two Hosts", get(b"Host: b"), 400)
_case("a Host with a list", get(host=b"Host: a, b\r\n"), 400, 1, HOST)
_case("a Host with a path", get(host=b"Host: a/b\r\n"), 400, 1, HOST)
_case("a Host with a user", get(host=b"Host: b@a\r\n"), 400, 1, HOST)
_case("a Host with a bad port", get(host=b"Host: a:b\r\n"), 400, 1, HOST)
_case("absolute form", get(target="http://a/x"), 200)
_case("absolute form of another host", get(target="http://b/x"), 400)
_case("absolute form with a user", get(target="http://b@a/x"), 400, 1, FORM)
_case("absolute form with https", get(target="https://a/x"), 421, 1,
      "RFC 9110, 7.4: the connection is none of https")
_case("a target that is no path", get(target="x"), 400)
_case("a target with a fragment", get(target="/a#b"), 400)
_case("a target with a space", get(target="/a b"), 400)
_case("a target with a tab", get(target="/a\tb"), 400)
_case("a target with a NUL", get(target="/a\0b"), 400)
_case("a target with a byte from 0x80 on", get(target="/\xe4"), 400)
_case("* of a GET", get(target="*"), 400, 1, FORM)
_case("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200)
_case("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + HIDDEN, 501,
      1, "a tunnel would have no headers of ours in what it carries")
_case("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, 1,
      "the echo would tell the client what is set")

# Versions, and other protocols

_case("HTTP/0.9", b"GET /\r\n", 400)
_case("HTTP/1.2", get(version="1.2"), 505, 1,
      "nobody speaks it")
_case("HTTP/2.0", get(version="2.0"), 505, 1,
      "no backend of HTTP/1 can take it")
_case("HTTP/1.10", get(version="1.10"), 400)
_case("http/1.1", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400)
_case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
_case("an upgrade to HTTP/2",
      get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
          b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200)
_case("TLS", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 400)

# Behind the request

_case("two requests", get() + HIDDEN, 200, 2, ONE)
_case("two, kept alive", get(b"Connection: keep-alive") + HIDDEN, 200,
      2, ONE)
_case("a body of a GET", get(b"Content-Length: 33") + HIDDEN, 200)
_case("a body that is too long", post(b"Content-Length: 2", body=b"ab"
                                      + HIDDEN), 200, 2, ONE)
_case("a body that is too short", post(b"Content-Length: 40", body=b"ab"), 400)
_case("garbage behind it", get() + b"\0\r\r\n", 200)
