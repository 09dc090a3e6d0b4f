"""How few measurements can suffice: the parts of Kamath, Karmalkar and Price's lower bound, running."""

from gsl_utils.generators.codes import hamming_distances, reed_solomon, reed_solomon_word, sign_code
from gsl_utils.lower_bound.constants import forced_rows
from gsl_utils.lower_bound.decoders import nearest_image, nearest_word
from gsl_utils.lower_bound.games import best_protocol
from gsl_utils.lower_bound.protocol import ProtocolRun, augmented_indexing
from gsl_utils.lower_bound.rounding import discretise, orthonormal_rows
from gsl_utils.lower_bound.smoothing import in_ball

__all__ = [
    "ProtocolRun",
    "augmented_indexing",
    "best_protocol",
    "discretise",
    "forced_rows",
    "hamming_distances",
    "in_ball",
    "nearest_image",
    "nearest_word",
    "orthonormal_rows",
    "reed_solomon",
    "reed_solomon_word",
    "sign_code",
]
