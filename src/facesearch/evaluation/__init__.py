"""How well systems find people: protocols, measures, and a run of several systems side by side."""

from facesearch.evaluation.costs import Forecast
from facesearch.evaluation.enrolment import Dataset, Limit, enrol, read_dataset
from facesearch.evaluation.running import EvalHooks, EvalOptions, evaluate, measure

__all__ = [
    "Dataset",
    "EvalHooks",
    "EvalOptions",
    "Forecast",
    "Limit",
    "enrol",
    "evaluate",
    "measure",
    "read_dataset",
]
