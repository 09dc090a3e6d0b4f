"""Where the repository is, found in this one place, and the links that need to know it."""

from __future__ import annotations

__all__ = ["binder_url", "find_address", "normalise"]

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

VARIABLE = "BOOK_REPOSITORY"

# user@host:path, git's short form of an ssh address
_SCP = re.compile(r"^(?:[\w.-]+@)(?P<host>[\w.-]+):(?P<path>(?!//)[^\s]+)$")
_PRIVATE_ENDINGS = (".local", ".localdomain", ".internal", ".lan", ".home", ".corp", ".test", ".invalid")


def normalise(remote: str) -> str | None:
    """Turn a git remote into the https address that a browser opens, or None where it has no public one.

    Credentials, ports of ssh and a trailing ``.git`` are dropped; folders, ``file://``, bare host names,
    numeric addresses and private domains are not public.

    Args:
        remote: What ``git remote get-url`` prints, or what a person writes.

    Returns:
        An address without a trailing slash, or None.

    >>> normalise("git@github.com:someone/book.git")
    'https://github.com/someone/book'
    >>> normalise("/srv/git/book.git") is None
    True
    """
    remote = remote.strip()
    match = _SCP.match(remote)
    if match:
        host, path = match["host"], match["path"]
    else:
        parts = urlsplit(remote)
        if parts.scheme not in {"http", "https", "ssh", "git+ssh"}:
            return None
        # A port that is given for http(s) belongs to the address; one for ssh says nothing of the web page.
        keep_port = parts.scheme in {"http", "https"} and parts.port
        host = f"{parts.hostname}:{parts.port}" if keep_port else parts.hostname or ""
        path = parts.path
    path = path.strip("/").removesuffix(".git").strip("/")
    name = host.split(":")[0].lower()
    numeric = re.fullmatch(r"[\d.]+", name) is not None
    if "." not in name or numeric or name.endswith(_PRIVATE_ENDINGS) or path.count("/") < 1:
        return None
    return f"https://{host}/{path}"


def find_address(root: Path, environ: Mapping[str, str] = os.environ) -> str | None:
    """Find the public address of the repository: ``BOOK_REPOSITORY``, or else git's remote ``origin``.

    Args:
        root: The repository's root.
        environ: The environment variables.

    Returns:
        An https address, or None: then the book has no launch and no repository buttons.

    Raises:
        ValueError: ``BOOK_REPOSITORY`` is set to something that is no public address.
    """
    given = environ.get(VARIABLE, "").strip()
    if given:
        address = normalise(given)
        if address is None:
            raise ValueError(
                f"{VARIABLE} is {given!r}; it must be the public address of a repository, like https://host/owner/name."
            )
        return address
    try:
        answer = subprocess.run(
            ["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError:  # no git on this machine
        return None
    # A copy inside another repository must not take that one's address.
    if answer.returncode != 0 or not (root / ".git").exists():
        return None
    return normalise(answer.stdout)


def binder_url(address: str, path: str, *, binder: str = "https://mybinder.org", ref: str = "HEAD") -> str:
    """Address that opens one notebook of the repository in Binder.

    Args:
        address: The repository, as :func:`find_address` gives it.
        path: The notebook, from the repository's root.
        binder: The BinderHub.
        ref: Branch, tag or commit; ``HEAD`` is the newest of the default branch.

    Raises:
        ValueError: ``path`` is no notebook; Binder would open it as text.

    >>> binder_url("https://github.com/someone/book", "book/01_a.ipynb")
    'https://mybinder.org/v2/gh/someone/book/HEAD?urlpath=lab/tree/book/01_a.ipynb'
    """
    if not path.endswith(".ipynb"):
        raise ValueError(f"path is {path!r}; it must be a notebook (.ipynb), or Binder opens a text file.")
    host, _, name = address.removeprefix("https://").partition("/")
    if host == "github.com":
        where = f"gh/{name}"
    elif host == "gitlab.com":
        where = f"gl/{quote(name, safe='')}"
    else:
        where = f"git/{quote(address, safe='')}"
    return f"{binder}/v2/{where}/{ref}?urlpath=lab/tree/{quote(path)}"
