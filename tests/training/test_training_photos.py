"""Whom a training takes, and what it makes of their photos."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import DatasetError
from facesearch.faces.crop import crop_faces
from facesearch.photos import read_photo
from facesearch.records import Face
from facesearch.systems import find_system
from facesearch.training.options import TrainOptions
from facesearch.training.photos import LabelledPhotos, choose_people, digest, network_input


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, "ann bob cid dan eve"),
        ({"people": 2}, "ann bob"),
        ({"without_pois": True}, "ann cid eve"),
        ({"without_pois": True, "people": 2}, "ann cid"),
        ({"without_pois": True, "poi_photos": 3}, "ann bob dan eve"),
        ({"without_pois": True, "pois": ("eve",)}, "ann cid"),
    ],
)
def test_people_are_taken_by_name_after_the_pois_are_left_out(people, options, chosen):
    found = choose_people(people, TrainOptions(**options))

    assert " ".join(found) == chosen
    assert all(path.parent.name == name for name, paths in found.items() for path in paths)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"people": 6}, "leaves 5 people where 6 are needed"),
        ({"without_pois": True, "pois": ("ann", "cid")}, "leaves 1 people where 2 are needed"),
        ({"without_pois": True, "pois": ("zoe",)}, "nobody named zoe"),
    ],
)
def test_too_few_and_strangers_are_refused(people, options, told):
    with pytest.raises(DatasetError, match=told):
        choose_people(people, TrainOptions(**options))


def test_a_folder_without_people_is_refused(tmp_path):
    with pytest.raises(DatasetError):
        choose_people(tmp_path / "nowhere", TrainOptions())


def test_the_digest_is_of_names_and_sizes(people, tmp_path):
    def now() -> str:
        return digest(people, choose_people(people, TrainOptions()))

    before, photo = now(), people / "ann" / "ann_0001.png"
    moved = people.rename(tmp_path / "elsewhere")
    assert digest(moved, choose_people(moved, TrainOptions())) == before
    moved.rename(people)
    data = photo.read_bytes()
    photo.write_bytes(data + b"\0")
    larger = now()
    photo.write_bytes(data)
    assert now() == before
    photo.rename(photo.with_name("ann_0009.png"))
    assert len({before, larger, now()}) == 3


def test_every_photo_is_loaded_with_its_own_person(people):
    photos = LabelledPhotos(choose_people(people, TrainOptions()), "small-cnn")
    photos.leave_out_bad(lambda done, total: None)

    order = np.random.default_rng(3).permutation(len(photos))
    pixels, labels = photos.load(order)

    assert (pixels.shape, pixels.dtype) == ((18, 250, 250, 3), np.float32)
    assert sorted(labels.tolist()) == [0] * 2 + [1] * 6 + [2] * 3 + [3] * 6 + [4]
    assert np.array_equal(pixels[:, 100, 100, 0], labels * 50)
    assert (photos.people, photos.failures) == (["ann", "bob", "cid", "dan", "eve"], {})


def test_the_network_sees_in_training_what_it_sees_when_it_embeds(tmp_path):
    path = tmp_path / "wide.png"
    Image.effect_noise((400, 300), 80).convert("RGB").save(path)
    recipe = find_system("small-cnn").recipe

    seen = network_input(path, recipe)

    crop = crop_faces(read_photo(path).pixels, [Face(None, (), 1.0)], recipe.crop, 250)[0]
    assert seen.shape == (250, 250, 3)
    assert np.array_equal(seen, crop)


def test_a_photo_that_goes_while_it_trains_is_left_out_and_named(people):
    photos = LabelledPhotos(choose_people(people, TrainOptions()), "small-cnn")
    photos.leave_out_bad(lambda done, total: None)
    gone = people / "ann" / "ann_0002.png"
    gone.unlink()

    pixels, labels = photos.load(np.array([2, 1, 0]))

    assert labels.tolist() == [1, 0]
    assert pixels[:, 0, 0, 1].tolist() == [1, 1]
    assert {path: failure.reason for path, failure in photos.failures.items()} == {gone: "vanished"}
    with pytest.raises(DatasetError, match=r"ann_0002.*bring the folder back.*--resume"):
        photos.load(np.array([1]))


def test_nothing_to_learn_from_names_the_first_bad_photo(people):
    for photo in people.glob("[b-e]*/*"):
        photo.write_bytes(b"no photo")
    photos = LabelledPhotos(choose_people(people, TrainOptions()), "small-cnn")

    with pytest.raises(DatasetError, match=r"photos of 1 people can be read.*bob_0001"):
        photos.leave_out_bad(lambda done, total: None)
