"""Make ``.venv`` with the project and exactly the packages of ``constraints.txt``, unless that is done.

Run as a file by the Makefile, before anything is installed and by whatever ``python3`` the machine has. It
therefore uses the standard library only, and no syntax that a Python too old for the book could not parse: an
old Python must be told so in a sentence, not by a SyntaxError.
"""

__all__ = ["SetupError", "main", "prepare"]

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWEST = (3, 13)
STAMP = "book-setup.json"
LOG = "book-setup.log"

# What pip prints when no index answers, whichever of its layers noticed.
NO_NETWORK = re.compile(
    "Failed to establish a new connection|NewConnectionError|ConnectTimeoutError|ConnectionResetError"
    "|ReadTimeoutError|ProxyError|Connection refused|Name or service not known|Network is unreachable"
    "|Temporary failure in name resolution|Could not fetch URL|NetworkConnectionError"
)


class SetupError(Exception):
    """The set-up cannot go on; the message is one sentence for the person at the keyboard."""


def say(line):
    """Print one line at once, so that it stands before what a child process prints."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def check_python(version):
    """Return a warning for a Python that nobody has tried, or None; refuse one that is too old."""
    numbers = version + OLDEST + NEWEST
    if version < OLDEST:
        raise SetupError(
            "Python {}.{} is too old: the book needs Python {}.{} or newer; install one and name it, "
            "for example `make PYTHON=python{}.{} book`.".format(*numbers)
        )
    text = "Python {}.{} is newer than any the book was tested on ({}.{} to {}.{}); going on."
    return text.format(*numbers) if version > NEWEST else None


def digest(root):
    """Return what identifies the environment's packages: the files that name them, and the Python."""
    total = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(root, name), "rb") as file:
            total.update(file.read())
        total.update(b"\0")
    total.update("{}.{}.{}".format(*sys.version_info[:3]).encode("utf-8"))
    return total.hexdigest()


def read_stamp(folder):
    """Return the stamp of the last set-up that ended well, or an empty dictionary."""
    try:
        with open(os.path.join(folder, STAMP)) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def interpreter(folder):
    """Return the environment's own Python."""
    return os.path.join(folder, "bin", "python")


def is_sound(folder):
    """Tell whether the environment has a working Python of this version, and pip."""
    question = "import sys, pip; sys.exit(sys.version_info[:3] != {!r})".format(tuple(sys.version_info[:3]))
    try:
        return subprocess.call([interpreter(folder), "-c", question], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_environment(folder):
    """Make an empty environment in the folder, in place of whatever lies there."""
    advice = (
        "This Python has no working venv module: install it (on Debian and Ubuntu the package "
        "python{}.{}-venv), then run the command again.".format(*sys.version_info[:2])
    )
    try:
        import ensurepip
        import venv
    except ImportError as error:
        raise SetupError(advice) from error
    del ensurepip, venv
    if os.path.islink(folder) or os.path.isfile(folder):
        os.remove(folder)
    elif os.path.isdir(folder):
        shutil.rmtree(folder)
    # Not the environment's own Python, should that be the one running.
    own = os.path.realpath(sys.prefix) == os.path.realpath(folder)
    python = getattr(sys, "_base_executable", sys.executable) if own else sys.executable
    command = [python, "-m", "venv", folder]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        raise SetupError(reason_in(made.stdout.decode("utf-8", "replace")) or advice)


def reason_in(output):
    """Return the sentence for a cause that can be read off a tool's output, or None."""
    if "No space left on device" in output:
        return "The disk is full: make room (the environment takes about 1.5 GB), then run the command again."
    if NO_NETWORK.search(output):
        return (
            "The package index cannot be reached: check the network, or pip's proxy and index settings, "
            "then run the command again."
        )
    return None


def install(root, folder, extras):
    """Install the project, editable, with its extras, under the constraints."""
    command = [interpreter(folder), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--constraint", "constraints.txt", "--editable", ".[{}]".format(",".join(extras))]
    # A user's own `user = true` is refused inside a virtual environment.
    environment = dict(os.environ, PIP_USER="0")
    log = os.path.join(folder, LOG)
    with open(log, "wb") as file:
        pipe = subprocess.PIPE
        pip = subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=subprocess.STDOUT)
        try:
            for line in pip.stdout or ():
                file.write(line)
                show_progress(line)
        finally:
            if pip.poll() is None and sys.exc_info()[0] is not None:
                pip.terminate()
            pip.wait()
            show_progress(b"")
    if pip.returncode != 0:
        with open(log, "rb") as file:
            output = file.read().decode("utf-8", "replace")
        # pip's first complaint names the package; its last is general advice.
        errors = [line.strip() for line in output.splitlines() if re.match(r"\s*(ERROR:|\u00d7)", line)]
        cause = errors[0] if errors else "it ended with status {}".format(pip.returncode)
        sentence = reason_in(output) or "pip could not install the packages ({}).".format(cause)
        raise SetupError("{} pip's log: {}".format(sentence, os.path.relpath(log)))


def show_progress(line):
    """Show pip's current line in place on a terminal, and nothing elsewhere."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r\033[K" + line.decode("utf-8", "replace").strip()[:width])
        sys.stdout.flush()


def prepare(root, extras):
    """Bring ``root/.venv`` to the state that ``pyproject.toml`` and ``constraints.txt`` ask for.

    The extras that an earlier run installed stay.
    """
    warning = check_python(tuple(sys.version_info[:2]))
    folder = os.path.join(root, ".venv")
    stamp = read_stamp(folder)
    every = sorted(set(extras) | set(stamp.get("extras", [])))
    wanted = {"digest": digest(root), "extras": every, "place": root}
    if stamp == wanted and os.path.exists(interpreter(folder)):
        return
    if warning:
        say(warning)
    say("Setting up .venv with the extras {} (once, some minutes).".format(", ".join(every)))
    path = os.path.join(folder, STAMP)
    if os.path.exists(path):
        os.remove(path)
    # The commands in an environment name its own place, so that a moved one is made again.
    if stamp.get("place", root) != root or not is_sound(folder):
        make_environment(folder)
    install(root, folder, every)
    # In one step: a killed run leaves the old stamp or none.
    with open(path + ".tmp", "w") as file:
        json.dump(wanted, file, sort_keys=True)
    os.replace(path + ".tmp", path)
    say("Set-up done.")


def main(arguments=None):
    """Run the set-up from the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        description="Make .venv, with the book's packages, if it is out of date."
    )
    parser.add_argument("--extras", default="book", help="comma-separated extras of pyproject.toml")
    options = parser.parse_args(arguments)
    extras = [name.strip() for name in options.extras.split(",") if name.strip()]
    try:
        prepare(os.path.dirname(os.path.abspath(__file__)), extras)
    except SetupError as error:
        sys.stderr.write("Set-up stopped: {}\n".format(error))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nSet-up interrupted; the next run takes it up again.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
