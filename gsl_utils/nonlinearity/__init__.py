r"""How far a generator is from a linear map: by its values, by its Jacobian, and by what others measure.

======================  ==============================================================================
function                what it says
======================  ==============================================================================
``nnlm``                share of the signals' energy that no linear (or affine) map of u explains
``jacobian_variation``  share of the Jacobian's energy that is not its mean
``linear_r2``           what an affine map explains of an entry of x, mean over the entries
``linear_cka``          whether u and x have the same principal directions: no measure of linearity
======================  ==============================================================================

All of them take pairs of inputs and outputs that are drawn by the caller, one pair a row, or a generator and
its inputs: what they say holds for the law of these inputs only.
"""

from gsl_utils.nonlinearity.alignment import linear_cka
from gsl_utils.nonlinearity.linear_fit import linear_r2, nnlm
from gsl_utils.nonlinearity.variation import jacobian_variation

__all__ = ["jacobian_variation", "linear_cka", "linear_r2", "nnlm"]
