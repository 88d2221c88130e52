#!/usr/bin/env python3
"""Serves a directory on loopback for tests/check/fetch.sh: ranges, and on request broken transfers. Prints
its port. /good/FILE is the file; /cut/FILE breaks off in the middle unless asked for a later part;
/bad/FILE has a flipped bit in it; /plain/FILE knows no ranges. usage: serve.py DIRECTORY"""

import http.server
import pathlib
import re
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, how, name = self.path.split("/")
        path = pathlib.Path(sys.argv[1]) / name
        if how not in ("good", "cut", "bad", "plain") or not path.is_file():
            self.send_error(404)
            return
        data = bytearray(path.read_bytes())
        if how == "bad":
            data[len(data) // 2] ^= 1
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(begin[1]) if begin and how != "plain" else 0
        if begin >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        self.wfile.write(data[begin:] if how != "cut" or begin else data[: len(data) // 2])

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
