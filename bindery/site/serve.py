"""The command ``serve``: show the rendered site on this machine, compressed as a web host would send it."""

import argparse
import gzip
import io
import shutil
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from bindery.root import BookError, require_root
from bindery.site.render import OUTPUT

TEXT = {".html", ".css", ".js", ".json", ".svg", ".csv", ".ipynb", ".md", ".txt"}


class _Handler(SimpleHTTPRequestHandler):
    """Serve files, text compressed where the browser takes it, without a line of log for each."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        path = Path(self.translate_path(self.path))
        accepts = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (accepts and path.is_file() and path.suffix in TEXT):
            return super().send_head()
        body = gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        try:
            shutil.copyfileobj(source, outputfile)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the reader went on to another page

    def log_message(self, *_args: object) -> None:
        return


class SiteServer(ThreadingHTTPServer):
    """A server of one folder on the loopback address."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(folder)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000, help="the port (8000; 0: any that is free)")


def run(args: argparse.Namespace) -> int:
    folder = require_root() / OUTPUT
    if not (folder / "index.html").is_file():
        raise BookError("there is no rendered book yet; call `make book` first.")
    try:
        server = SiteServer(folder, args.port)
    except OSError as error:
        message = f"port {args.port} cannot be used ({error.strerror}); choose another with --port"
        raise BookError(message) from error
    with server:
        print(f"The book is at {server.address}/ (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
