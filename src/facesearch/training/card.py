"""The model card beside trained weights: what they were made from, and what they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facesearch.weights.cache import sha256_file, writing

_TEXT = """# {name}

A whole photo of 250x250 pixels to an embedding of 107,648 numbers, of any length.

- **Network**: three convolutions of 3x3 (32, 64, 128 channels, ReLU), each with 2x2 max-pooling;
  flattened. It was trained with one softmax output a person on top, which is not kept.
- **Source**: trained here by facesearch {facesearch} on {date}.
  SHA-256 {sha256}.
- **Training data**: {photos:,} photos of {people:,} people in `{folder}`
  (SHA-256 over their names and sizes
  {folder_digest}).
  {pois}
- **Training**: Adam, sparse categorical cross-entropy, {epochs} epochs in batches of {batch},
  seed {seed}, pixels 0..255 as they are; {packages}.
- **Accuracy at the end**: {accuracy:.2%} of the last epoch's photos got the right name, loss
  {loss:.4g}. These are the photos it was being taught: it says how well they were learned by heart
  and nothing about others.
- **Input**: RGB, 0..255; a photo of another size is stretched to 250x250.

## Known limits

- **No fair test on these photos**: it has learned to tell the people on them apart, so a search
  among them says nothing about a search elsewhere.
  {fair}
- It looks at the whole photo: clothes, pose and background count as much as the face.
- Distances are not probabilities, have no upper limit and cannot be compared with those of another
  training.
"""


def write_card(path: Path, facts: Mapping[str, Any]) -> Path:
    """Write ``NAME.md`` beside the weights in ``path``.

    Raises:
        WeightsError: the disk refuses.
    """
    target = path.with_suffix(".md")
    versions = facts["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras", "numpy"))
    told = {
        "name": path.stem,
        "sha256": sha256_file(path),
        "facesearch": versions["facesearch"],
        "packages": packages,
        "pois": _whom(facts),
        "fair": _fair(facts),
    }
    text = _TEXT.format_map({**facts, **told})
    with writing(target) as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
    return target


def _whom(facts: Mapping[str, Any]) -> str:
    if not facts["without_pois"]:
        return "Nobody was left out for a test."
    named = f", and {', '.join(facts['pois'])}" if facts["pois"] else ""
    return f"Left out: whoever has exactly {facts['poi_photos']} photos{named}."


def _fair(facts: Mapping[str, Any]) -> str:
    if facts["without_pois"]:
        return "The people left out it has never seen; they are found among others that it has."
    return "The training with --without-pois leaves out those who are searched for."
