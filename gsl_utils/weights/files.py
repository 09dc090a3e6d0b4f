"""The file of a trained VAE: its weights in half precision, and the sizes that they are of."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gsl_utils.common import checks
from gsl_utils.generators.vae import VAE

__all__ = ["read_weights", "write_weights"]

# One entry, since the order of several is chance, and a file is to be the same whenever it is written.
_KEY = "vae"


def write_weights(vae: VAE, path: Path, made: Mapping[str, Any]) -> str:
    """Write the weights of a VAE, all of them or nothing, and return the file's SHA-256 sum.

    ``made`` is kept with them: how they were made, ``hidden`` and ``activation`` of the VAE among it. A
    ValueError says that a weight is too large for half precision.
    """
    weights = {name: weight.detach().cpu().half().contiguous() for name, weight in vae.state_dict().items()}
    for name, weight in weights.items():
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(
                f"vae has entries in {name} that are not finite in half precision; all must be at most "
                f"{torch.finfo(torch.float16).max:g}."
            )
    facts = {**made, "n": vae.n, "latent_dim": vae.latent_dim}
    content: bytes = _safetensors().torch.save(weights, {_KEY: json.dumps(facts)})
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
    return hashlib.sha256(content).hexdigest()


def read_weights(
    path: Path,
    *,
    digest: str | None = None,
    made: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> VAE:
    """The VAE of a file, in evaluation mode and without gradients for its weights.

    A ValueError says that the file has another SHA-256 sum than ``digest``, that it was made otherwise than
    ``made`` says, or that ``write_weights`` did not write it.
    """
    checks.floating_dtype("dtype", dtype)
    place = checks.device("device", device)
    library = _safetensors()
    if digest is not None and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(
            f"{path} has another SHA-256 sum than the published weights, {digest[:12]}..., and may be torn "
            f"({path.stat().st_size} bytes): gsl_utils must be installed again."
        )
    try:
        with library.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[_KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sizes = {name: facts[name] for name in ("n", "latent_dim", "hidden", "activation")}
        vae = VAE(**sizes, dtype=dtype, device="meta")
        vae.load_state_dict({name: weight.to(place, dtype) for name, weight in weights.items()}, assign=True)
    except OSError:
        raise
    except Exception as error:  # whatever a torn file or a stranger's leads to
        raise ValueError(
            f"{path} is torn or holds no weights of a VAE; it must be removed or replaced."
        ) from error
    if other := [name for name, value in (made or {}).items() if facts.get(name) != value]:
        raise ValueError(
            f"{path} was made with other {', '.join(other)}; it must be removed, or another folder named."
        )
    return vae.eval().requires_grad_(False)


def _safetensors() -> types.ModuleType:
    try:
        import safetensors.torch
    except ImportError:
        raise ImportError(
            "Weights are read and written by safetensors, which is not installed: "
            "pip install 'gsl_utils[book]'."
        ) from None
    return safetensors
