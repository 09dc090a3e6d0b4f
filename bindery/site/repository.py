"""Where the repository is, found in this one place, and the links that need to know it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from bindery.root import BookError, git_if_there

VARIABLE = "BOOK_REPOSITORY"

# user@host:path, git's short form of an ssh address
_SCP = re.compile(r"^(?:[\w.-]+@)(?P<host>[\w.-]+):(?P<path>(?!//)[^\s]+)$")
_PRIVATE_ENDINGS = (".local", ".localdomain", ".internal", ".lan", ".home", ".corp", ".test", ".invalid")


def normalise(remote: str) -> str | None:
    """Turn a git remote into the https address that a browser opens, or None where it has no public one."""
    # Folders, ``file://``, bare host names, numeric addresses and private domains are not public.
    parts = urlsplit(_SCP.sub(r"ssh://\g<host>/\g<path>", remote.strip()))
    host, path = parts.hostname or "", parts.path.strip("/").removesuffix(".git").strip("/")
    private = "." not in host or re.fullmatch(r"[\d.]+", host) or host.endswith(_PRIVATE_ENDINGS)
    if parts.scheme not in {"http", "https", "ssh", "git+ssh"} or private or "/" not in path:
        return None
    # A port that is given for http(s) belongs to the address; one for ssh says nothing of the web page.
    port = f":{parts.port}" if parts.scheme in {"http", "https"} and parts.port else ""
    return f"https://{host}{port}/{path}"


def find_address(root: Path, environ: Mapping[str, str] = os.environ) -> str | None:
    """Find the public address of the repository: ``BOOK_REPOSITORY``, or else git's remote ``origin``."""
    given = environ.get(VARIABLE, "").strip()
    address = normalise(given)
    if given and address is None:
        what = "the public address of a repository, like https://host/owner/name."
        raise BookError(f"{VARIABLE} is {given!r}; it must be {what}")
    # A copy inside another repository must not take that one's address.
    if given or not (root / ".git").exists():
        return address
    return normalise(git_if_there(root, "remote", "get-url", "origin") or "")


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
