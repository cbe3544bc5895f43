"""An evaluation in the terminal and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_evaluation import TRAINED_ON_IT, made_evaluation

from facesearch.errors import FacesearchError
from facesearch.report.evaluation import (
    cells,
    figures,
    latex,
    read_evaluation,
    render_evaluation,
    spreadsheet,
)
from facesearch.report.evaluation.comparing import in_words
from facesearch.report.terminal import display_width
from facesearch.results import (
    Comparison,
    Cost,
    Curve,
    DatasetFacts,
    Evaluation,
    Histogram,
    Measure,
    SystemResult,
    Verification,
)

KEYS = ("rank_1", "rank_5", "recall_at_k", "map", "accuracy", "auc", "eer", "tar_at_far",
        "fnir_at_fpir")  # fmt: skip
# A whole evaluation takes minutes to shrink.
WHATEVER = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
HOSTILE = "a\x1b[31m\u202eb\nc"


@pytest.fixture(scope="module")
def made():
    return made_evaluation()


@pytest.fixture(scope="module")
def table(made):
    return render_evaluation(made, as_json=False)


def written(folder, evaluation):
    path = folder / "results.json"
    path.write_text(render_evaluation(evaluation, as_json=True), encoding="ascii")
    return path


@WHATEVER
@given(st.from_type(Evaluation).map(lambda found: replace(found, schema=1)))
def test_any_evaluation_survives_json(tmp_path_factory, found):
    path = written(tmp_path_factory.mktemp("json"), found)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert repr(read_evaluation(path)) == repr(found)  # repr, because NaN differs from itself


def test_names_that_are_not_utf8_survive_json(tmp_path, made):
    odd = replace(made, dataset=replace(made.dataset, folder="caf\udce9/\x00"))
    assert read_evaluation(written(tmp_path, odd)) == odd


def test_json_has_every_measure_with_its_interval(made):
    document = json.loads(render_evaluation(made, as_json=True))
    facenet = document["systems"][0]
    found = {**facenet["identification"][0], **facenet["verification"], **facenet["open_set"]}
    for key in KEYS:
        measure = found[key] if "value" in found[key] else next(iter(found[key].values()))
        assert set(measure) == {"value", "low", "high"}
        assert measure["low"] <= measure["value"] <= measure["high"]
    assert document["kind"] == "facesearch evaluation"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not an evaluation"),
        ("[]", "not an evaluation"),
        ('{"schema": 1}', "not an evaluation"),
        ("[" * 100_000, "not an evaluation"),
        ('{"kind": "facesearch evaluation", "schema": 2}', "schema 2"),
        ('{"kind": "facesearch evaluation"}', "schema None"),
        ('{"kind": "facesearch evaluation", "schema": 1}', "dataset"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path, content, words):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(FacesearchError) as refused:
        read_evaluation(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("place", ["gone.json", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, place):
    with pytest.raises(FacesearchError, match="cannot be read"):
        read_evaluation(tmp_path / place)


def test_a_damaged_evaluation_says_where(tmp_path, made):
    path = written(tmp_path, made)
    document = json.loads(path.read_text())
    document["systems"][0]["verification"]["auc"]["value"] = "high\x1b"
    path.write_text(json.dumps(document))
    with pytest.raises(FacesearchError, match=r"systems\.0\.verification\.auc\.value"):
        read_evaluation(path)


def one(name="facenet", **changes):
    return SystemResult(name, "FaceNet", "facesearch", "done", **changes)


def of(*systems, **changes):
    return Evaluation(
        DatasetFacts("photos", 12, 3, 1, limit=12, order="seed 5"), systems, **changes
    )


def test_pairs_and_cost_line_by_line():
    pairs = Verification(
        600, 10, 1, Measure(0.99325, 0.99, 0.9961), 0.00127, (), (), Measure(0.9987),
        Measure(0.0071, 0.006, 0.0082), {"0.01": Measure(0.994), "0.001": Measure(float("nan"))},
        Curve(), Histogram(),
    )  # fmt: skip
    cost = Cost(None, 0.35, 0.0012, 9_412_345, None, 128, 15_769)
    text = render_evaluation(of(one(verification=pairs, cost=cost)), as_json=False)
    assert text.splitlines() == [
        "12 photos of 3 people in photos; limited to 12, in order of seed 5; 1 failed; seed 0",
        "",
        "Pairs: the same person or not",
        "600 pairs in 10 folds, in %",
        "system               accuracy  std. error    AUC                EER  TAR @ FAR 1e-2"
        "  TAR @ FAR 1e-3  missing",
        "facenet  99.33 [99.00, 99.61]        0.13  99.87  0.71 [0.60, 0.82]           99.40"
        "               –        1",
        "",
        "Cost",
        "system   photos/s  s a query  search in it, s   store  peak memory    rows  dimensions",
        "facenet         –      0.350           0.0012  9.4 MB            –  15,769         128",
    ]


def test_identification_has_every_measure(table):
    heads = [line for line in table.splitlines() if line.startswith("system")]
    words = {word for line in heads for word in re.split(r"  +", line)}
    assert words >= {
        "rank-1", "rank-5", "mAP", "recall@19", "misses", "20, own counted", "25, own counted",
        "20, own left out", "25, own left out", "accuracy", "AUC", "EER", "TAR @ FAR 1e-3",
        "FNIR @ FPIR 1e-2", "photos/s", "s a query", "store", "peak memory",
    }  # fmt: skip


def test_tables_fit_a_terminal_and_line_up(table):
    blocks = table.split("\n\n")
    grids = [block.splitlines() for block in blocks if "\nsystem " in block]
    assert len(grids) == 7
    for grid in grids:
        start = next(place for place, line in enumerate(grid) if line.startswith("system "))
        assert max(map(display_width, grid[start:])) <= 110


def test_ways_of_searching_are_rows_of_their_own(table):
    assert len(re.findall(r"^facenet \+expand ", table, re.MULTILINE)) == 3  # POIs alone
    assert len(re.findall(r"^facenet  ", table, re.MULTILINE)) > 3


def test_systems_without_results_say_why_and_what_to_run(table):
    assert (
        "vgg16-l2: weights missing: vgg16: no weights in the models folder; "
        "run: facesearch models pull vgg16"
    ) in table.splitlines()
    assert re.search(r"^efficientnet-v2l: failed: not enough memory.*; run: ", table, re.MULTILINE)


def test_untrained_systems_are_in_no_table(table):
    before, _, after = table.partition("Run through untrained (random weights), no results\n")
    assert "inception" not in before
    assert after.startswith("inception-resnet-v2: seeded random weights (seed 0); the path was")


def test_notes_are_footnotes(table):
    assert f"\n(1) {TRAINED_ON_IT}\n" in table
    assert re.search(r"^small-cnn \(1\) ", table, re.MULTILINE)
    assert not re.search(r"^facenet \(1\) ", table, re.MULTILINE)


def test_identical_files_are_counted_and_named(table):
    assert "14 files in 7 groups have the same bytes as another" in table
    assert "\n  A/0.jpg = B/0.jpg\n" in table
    assert "A/5.jpg" not in table
    assert "and 2 more groups" in table


def test_comparisons_say_what_their_interval_allows(table):
    lines = table.splitlines()
    assert ("facenet-best against facenet, People of interest, mAP: +0.42 [-0.10, +0.94], "
            "no difference shown") in lines  # fmt: skip
    assert "facenet-best against facenet, Pairs, accuracy: +0.21 [+0.03, +0.39], better" in lines
    assert any(line.endswith("-90.00 [-94.00, -86.00], worse") for line in lines)


@pytest.mark.parametrize(
    ("measure", "difference", "verdict"),
    [
        ("eer", Measure(-0.01, -0.02, -0.005), "better"),
        ("fnir_at_fpir", Measure(0.01, 0.005, 0.02), "worse"),
        ("map", Measure(0.01), "too little to say"),
        ("map", Measure(0.01, 0.0, 0.02), "no difference shown"),
    ],
)
def test_verdicts(measure, difference, verdict):
    assert in_words(Comparison("a", "b", "pairs", measure, difference)).verdict == verdict


def test_names_cannot_steer_the_terminal(made):
    system = replace(made.systems[0], name=HOSTILE, notes=(HOSTILE,))
    bad = replace(made.systems[3], name=HOSTILE, message=HOSTILE, remedy=HOSTILE)
    dataset = replace(made.dataset, folder=HOSTILE, identical=((HOSTILE, "b"),))
    text = render_evaluation(replace(made, dataset=dataset, systems=(system, bad)), as_json=False)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\nc" not in text


def test_nothing_measured_is_said_without_tables():
    text = render_evaluation(of(), as_json=False)
    assert text.count("\n") == 1


def test_further_ways_and_groups():
    base = made_evaluation().systems[0].identification[0]
    every = replace(
        base, gallery="all", groups={"women": {"rank_1": Measure(0.5), "map": Measure(0.25)}}
    )
    text = render_evaluation(of(one(identification=(base, every))), as_json=False)
    assert re.search(r"^facenet \(all faces\)  ", text, re.MULTILINE)
    assert re.search(r"^facenet \(all faces\), women +50.0 +25.0$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.01", "1e-2"),
        ("0.001", "1e-3"),
        ("0.1", "1e-1"),
        ("0.05", "0.05"),
        ("1", "1"),
        ("x", "x"),
    ],
)
def test_rates_as_the_field_writes_them(text, said):
    assert cells.rate(text) == said


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_shares_are_rounded_to_what_is_shown(value, low, high):
    cell = cells.share(Measure(value, low, high))
    assert float(cell.text) == pytest.approx(100 * value, abs=0.0501)
    assert [float(end) for end in cell.interval.split(", ")] == pytest.approx(
        [100 * low, 100 * high], abs=0.0501
    )


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ([1.0, 3.0, None, 3.0], "higher", [1, 3]),
        ([1.0, 3.0, None], "lower", [0]),
        ([2.0, 2.0], "higher", []),
        ([2.0, None], "higher", []),
        ([1.0, 2.0], "", []),
    ],
)
def test_the_best_of_a_column_is_marked(values, better, best):
    column = cells.with_best_marked([cells.Cell("", value=value) for value in values], better)
    assert [place for place, cell in enumerate(column) if cell.best] == best


@WHATEVER
@given(st.from_type(Evaluation))
def test_any_evaluation_can_be_shown(found):
    text = render_evaluation(found, as_json=False)
    assert text.endswith("\n")
    assert spreadsheet.render(found).startswith(spreadsheet.MARK)
    assert latex.render(found).startswith(latex.MARK)
    figures.all_pictures(found)
