"""The command ``serve``: show the rendered site on this machine, compressed as a web host would send it."""

import argparse
import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

from bindery.root import BookError, require_root
from bindery.site.render import INDEX, OUTPUT


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder on the loopback address, from a thread of its own, and yield the address."""
    files = (r"/(.*)", StaticFileHandler, {"path": str(folder), "default_filename": INDEX})
    site = Application([files], compress_response=True, log_function=lambda _handler: None)
    sockets, loop = bind_sockets(port, "127.0.0.1"), asyncio.new_event_loop()

    def work() -> None:
        asyncio.set_event_loop(loop)
        HTTPServer(site).add_sockets(sockets)
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000, help="the port (8000; 0: any that is free)")


def run(args: argparse.Namespace) -> int:
    folder = require_root() / OUTPUT
    if not (folder / INDEX).is_file():
        raise BookError("there is no rendered book yet; call `make book` first.")
    try:
        with served(folder, args.port) as address:
            print(f"The book is at {address}/ (stop with Ctrl-C)", flush=True)
            threading.Event().wait()
    except OSError as error:
        message = f"port {args.port} cannot be used ({error.strerror}); choose another with --port"
        raise BookError(message) from error
    except KeyboardInterrupt:
        print()
    return 0
