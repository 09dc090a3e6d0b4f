r"""What every recovery in the book returns.

All recoveries of the book are one problem with different parts: find the latent vector whose image under a
generator :math:`G` explains the measurements,

.. math:: \min_z\ \|y - A\,G(z)\|_2^2 + \text{penalty}(z), \qquad \hat x = G(\hat z).
"""

from __future__ import annotations

from gsl_utils._result import Recovery

__all__ = ["Recovery"]
