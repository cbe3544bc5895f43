"""The named systems, and the recipes that they are made of."""

import json

import pytest

from facesearch.errors import UsageError
from facesearch.extractors import EXTRACTORS as LOADERS
from facesearch.recipes import CropOptions, Recipe
from facesearch.search import BACKENDS
from facesearch.systems import SYSTEMS, choose_systems, find_system

AS_PUBLISHED = {
    "vgg16-l2": ("vgg16", 4_096, 224, "brute", 25),
    "vgg16-neighbors": ("vgg16", 4_096, 224, "sklearn", 25),
    "vgg16-pca": ("vgg16", 4_096, 224, "pca", 25),
    "mtcnn-facenet": ("facenet-128", 128, 160, "sklearn", 25),
    "small-cnn": ("small-cnn", 29 * 29 * 128, 250, "sklearn", 20),
    "inception-resnet-v2": ("inception-resnet-v2", 6 * 6 * 1536, 250, "sklearn", 20),
    "efficientnet-v2l": ("efficientnet-v2l", 8 * 8 * 1280, 250, "sklearn", 20),
}


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_the_courses_systems_are_as_published(name):
    system = find_system(name)
    extractor, search = system.recipe.extractor, system.search
    found = (extractor.model, extractor.dim, extractor.input_size, search.backend, search.k)
    assert found == AS_PUBLISHED[name]
    assert "report" in system.source


def test_only_vgg16_and_the_face_networks_bring_rows_to_length_one():
    unit = {name for name, system in SYSTEMS.items() if system.recipe.extractor.unit}
    assert unit == {"facenet", "facenet-best", "mtcnn-facenet",
                    "vgg16-l2", "vgg16-neighbors", "vgg16-pca"}  # fmt: skip


def test_face_systems_find_faces_and_the_others_take_whole_photos():
    faces = {name for name, system in SYSTEMS.items() if system.recipe.subject == "face"}
    assert faces == {"facenet", "facenet-best", "mtcnn-facenet"}
    tight = find_system("mtcnn-facenet").recipe
    assert (tight.crop.name, tight.crop.margin, tight.detector.min_face_share) == ("margin", 0, 0)


def test_three_searches_share_the_vgg16_store():
    digests = {
        find_system(f"vgg16-{way}").recipe.recipe_digest for way in ("l2", "neighbors", "pca")
    }
    assert len(digests) == 1
    assert len({system.recipe.recipe_digest for system in SYSTEMS.values()}) == len(SYSTEMS) - 2


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_can_be_built_and_searched(name):
    system = find_system(name)
    assert system.recipe.extractor.model in LOADERS
    assert system.search.backend in BACKENDS
    assert Recipe.from_dict(json.loads(json.dumps(system.recipe.as_dict()))) == system.recipe


def test_names_are_taken_in_order_and_once():
    chosen = [system.name for system in choose_systems(["small-cnn", "facenet", "small-cnn"])]
    assert chosen == ["small-cnn", "facenet"]
    everything = choose_systems(["facenet", "all"])
    assert [system.name for system in everything] == list(SYSTEMS)
    with pytest.raises(UsageError, match=r"no system is named 'magic'; there are facenet, .*, all"):
        choose_systems(["magic"])


def test_further_crops_are_part_of_both_digests_and_their_absence_is_not():
    plain = Recipe()
    more = Recipe(further_crops=(CropOptions("margin", 0.1),))
    assert "further_crops" not in plain.as_dict()
    assert more.recipe_digest != plain.recipe_digest
    assert more.space_digest != plain.space_digest
    assert Recipe.from_dict(json.loads(json.dumps(more.as_dict()))) == more
    assert "further_crops" in plain.differences(more) or "further-crops" in plain.differences(more)
