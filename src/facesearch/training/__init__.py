"""Training the small network of the second course report on a folder of people's photos."""

from facesearch.runtimes.small_cnn import EpochDone
from facesearch.training.job import TrainHooks, TrainState, TrainSummary, train
from facesearch.training.options import TrainOptions
from facesearch.training.planning import TrainPlan, make_plan

__all__ = [
    "EpochDone",
    "TrainHooks",
    "TrainOptions",
    "TrainPlan",
    "TrainState",
    "TrainSummary",
    "make_plan",
    "train",
]
