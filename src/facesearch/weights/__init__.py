"""Files of weights: the manifest, the cache folder, pulling and verifying."""

from facesearch.weights.arrays import load_arrays
from facesearch.weights.cache import home
from facesearch.weights.download import Bar, BarFactory, NoBar
from facesearch.weights.manifest import WeightFile, find, load_manifest, sha256_of
from facesearch.weights.pull import (
    WeightState,
    ensure,
    path_of,
    pull,
    pull_samples,
    recognise,
    remedy,
    samples_path,
    status,
    verify,
)

__all__ = [
    "Bar",
    "BarFactory",
    "NoBar",
    "WeightFile",
    "WeightState",
    "ensure",
    "find",
    "home",
    "load_arrays",
    "load_manifest",
    "path_of",
    "pull",
    "pull_samples",
    "recognise",
    "remedy",
    "samples_path",
    "sha256_of",
    "status",
    "verify",
]
