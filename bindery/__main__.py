"""The commands of the book: ``python -m bindery <command>``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from bindery.root import BookError

# Command: the module with its `run(args) -> int`, or after a colon another function, and with its
# `add_arguments(parser)` where it takes any; and what it does. A module is imported only when its command is
# called: `--help` is quick and no command pays for another's libraries.
COMMANDS: dict[str, tuple[str, str]] = {
    "execute": ("bindery.page.execute", "execute the notebooks whose pages are stale"),
    "arithmetic": ("bindery.page.arithmetic", "say whether this machine computes as the pages were made"),
    "status": ("bindery.page.dependencies", "say of each page whether it is fresh, and if not, what changed"),
    "check": ("bindery.lint.check", "lint, types, stale pages, the ledger and the environment files"),
    "render": ("bindery.site.render", "render the pages to the site"),
    "serve": ("bindery.site.serve", "serve the rendered site on this machine"),
    "claim": ("bindery.claims.ledger", "run the page that decides one claim and print its record"),
    "accept": ("bindery.claims.accept", "accept a claim's verdict, with a reason"),
    "paper": ("bindery.runs.paper", "run one chapter at the papers' scale and store its results"),
    "turn": ("bindery.page.notebooks:turn", "name the pages to be tried in this machine's own arithmetic"),
    "seeds": ("bindery.claims.reseed", "execute every page with other seeds and compare the verdicts"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the status is 0 when all is well, 1 for problems found, 2 when it could not start."""
    words = list(sys.argv[1:] if argv is None else argv)
    told = "The commands of the executable book."
    parser = argparse.ArgumentParser(prog="python -m bindery", description=told)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, (place, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        if name == chosen:
            module, _, function = place.partition(":")
            implementation = importlib.import_module(module)
            getattr(implementation, "add_arguments", lambda _parser: None)(command)
            command.set_defaults(run=getattr(implementation, function or "run"))
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
