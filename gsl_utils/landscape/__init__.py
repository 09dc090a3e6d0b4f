r"""Why gradient descent finds the signal: the risk of random ReLU networks, expected and drawn.

==========================  ==========================================================================
function                    what it says
==========================  ==========================================================================
``angle_map``               what a wide layer makes of the angle between two vectors
``rho``                     the multiple of the signal at which the expected risk has a second critical point
``phase_retrieval_rho``     the same for amplitudes
``expected_risk``           of a latent vector, in closed form; ``expected_gradient``, ``expected_hessian``
``saddle_expansion``        what kind of point the second one is; ``escape_time``: how it lets go
``vanishing_multiple``      where moving the first layer's active units gains nothing
``moved_units``             which of them a step moves; ``undisturbed_radius``: how small is small
``axis_minimum``            where the risk of one drawn network is smallest on the negative axis
``end_points``              to which critical point the ends of descents belong, a code of ``End``
``planar_critical_points``  all critical points of one drawn network of two latent dimensions
``wdc_constant``            how far a layer's weights are from the theory's condition on them
==========================  ==========================================================================

The scale is that of Hand and Voroninski: a layer of n units has weights N(0, 1/n), and the risk is half of
the squared misfit, of which ``recover`` minimises the whole.
"""

from gsl_utils.landscape.angles import angle_map, phase_retrieval_rho, rho
from gsl_utils.landscape.ends import End, axis_minimum, end_points
from gsl_utils.landscape.expected import expected_gradient, expected_hessian, expected_risk
from gsl_utils.landscape.first_layer import moved_units, undisturbed_radius, vanishing_multiple
from gsl_utils.landscape.plane import PlanarPoints, planar_critical_points
from gsl_utils.landscape.saddle import Saddle, escape_time, saddle_expansion
from gsl_utils.landscape.wdc import wdc_constant, wdc_deviation

__all__ = [
    "End",
    "PlanarPoints",
    "Saddle",
    "angle_map",
    "axis_minimum",
    "end_points",
    "escape_time",
    "expected_gradient",
    "expected_hessian",
    "expected_risk",
    "moved_units",
    "phase_retrieval_rho",
    "planar_critical_points",
    "rho",
    "saddle_expansion",
    "undisturbed_radius",
    "vanishing_multiple",
    "wdc_constant",
    "wdc_deviation",
]
