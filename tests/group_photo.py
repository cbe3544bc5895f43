"""A photo of several people, made of photos of one."""

from pathlib import Path

from PIL import Image


def side_by_side(photos: list[Path], target: Path) -> Path:
    """Writes the photos from left to right as one JPEG."""
    pictures = [Image.open(photo).convert("RGB") for photo in photos]
    height = max(picture.height for picture in pictures)
    canvas = Image.new("RGB", (sum(picture.width for picture in pictures), height), "white")
    x = 0
    for picture in pictures:
        canvas.paste(picture, (x, 0))
        x += picture.width
    canvas.save(target, quality=95)
    return target
