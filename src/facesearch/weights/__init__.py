"""Files of weights: the manifest, the cache folder, pulling and verifying."""

from facesearch.weights.arrays import load_arrays
from facesearch.weights.cache import evaluations_of, home, locked, sha256_file, writing
from facesearch.weights.download import Bar, BarFactory, NoBar
from facesearch.weights.kept import KeptFile, bring, keep, kept, kept_file, sha256_of
from facesearch.weights.manifest import KEPT, WeightFile, find, load_manifest, names
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
    "KEPT",
    "Bar",
    "BarFactory",
    "KeptFile",
    "NoBar",
    "WeightFile",
    "WeightState",
    "bring",
    "ensure",
    "evaluations_of",
    "find",
    "home",
    "keep",
    "kept",
    "kept_file",
    "load_arrays",
    "load_manifest",
    "locked",
    "names",
    "path_of",
    "pull",
    "pull_samples",
    "recognise",
    "remedy",
    "samples_path",
    "sha256_file",
    "sha256_of",
    "status",
    "verify",
    "writing",
]
