"""Where the repository is, found in this one place, and the links that need to know it."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from bindery.root import BookError, git

VARIABLE = "BOOK_REPOSITORY"

# user@host:path, git's short form of an ssh address
_SCP = re.compile(r"^(?:[\w.-]+@)(?P<host>[\w.-]+):(?P<path>(?!//)[^\s]+)$")
_PRIVATE_ENDINGS = (".local", ".localdomain", ".internal", ".lan", ".home", ".corp", ".test", ".invalid")


def normalise(remote: str) -> str | None:
    """Turn a git remote into the https address that a browser opens, or None where it has no public one.

    Credentials, ports of ssh and a trailing ``.git`` are dropped; folders, ``file://``, bare host names,
    numeric addresses and private domains are not public.
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
    """Find the public address of the repository: ``BOOK_REPOSITORY``, or else git's remote ``origin``."""
    given = environ.get(VARIABLE, "").strip()
    if given:
        address = normalise(given)
        if address is None:
            what = "the public address of a repository, like https://host/owner/name."
            raise BookError(f"{VARIABLE} is {given!r}; it must be {what}")
        return address
    # A copy inside another repository must not take that one's address.
    if not (root / ".git").exists():
        return None
    try:
        return normalise(git(root, "remote", "get-url", "origin"))
    except (OSError, subprocess.CalledProcessError):
        return None


def binder_url(address: str, path: str) -> str:
    if not path.endswith(".ipynb"):
        raise ValueError(f"path is {path!r}; it must be a notebook (.ipynb), or Binder opens a text file.")
    host, _, name = address.removeprefix("https://").partition("/")
    if host == "github.com":
        where = f"gh/{name}"
    elif host == "gitlab.com":
        where = f"gl/{quote(name, safe='')}"
    else:
        where = f"git/{quote(address, safe='')}"
    # HEAD is the newest of the default branch.
    return f"https://mybinder.org/v2/{where}/HEAD?urlpath=lab/tree/{quote(path)}"


def buttons(address: str | None, page: str, suffix: str) -> list[dict[str, str]]:
    """Make the buttons that lead from a page to its repository, if there is one; notebooks are launched."""
    if address is None:
        return []
    shown = [(address, "Source repository", "fas fa-code-branch", "source-repository")]
    if suffix == ".ipynb":
        launch = binder_url(address, page + suffix)
        shown.insert(0, (launch, "Run this page in Binder", "fas fa-rocket", "launch-binder"))
    return [dict(zip(("url", "tooltip", "icon", "label"), one, strict=True), type="link") for one in shown]
