"""The hidden size chosen by validation, from records made by hand: five folds of one task, three seeds of another."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnngen.report import NothingToDraw, page, scores, summary, write
from rnngen.report.sizes import chosen, sizes
from rnngen.runs import open_sweep
from rnngen.runs.export import export
from rnngen.runs.settings import NOTHING
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

FOLDS, SEEDS = 5, 3
SMALL, LARGE = (8, 16, 32), (16, 64, 256, 1024)
# Of the chorales the middle size does best on valid and the largest on train; of the text the largest in both.
VALID = {"chorales": dict(zip(SMALL, (9.0, 8.0, 8.5), strict=True)),
         "prose": dict(zip(LARGE, (3.0, 2.0, 1.5, 1.25), strict=True))}  # fmt: skip
TRAIN = {"chorales": dict(zip(SMALL, (8.9, 7.0, 5.0), strict=True)),
         "prose": dict(zip(LARGE, (2.9, 1.9, 1.4, 1.0), strict=True))}  # fmt: skip


def write_trial(folder, trials, task, size, number, cell="gru", shift=0.0):
    """number: of the fold of the chorales, of the seed of the prose; they differ by a tenth, from one to the next."""
    folds = task == "chorales"
    overrides = {"task": {"name": task, "kwargs": {}}, "cell.name": cell, "cell.kwargs.hidden_dim": size}
    overrides |= {"task.kwargs.fold" if folds else "seed": number}
    kwargs = {"folds": FOLDS, "fold": number} if folds else {}
    config = {"task": {"name": task, "kwargs": kwargs}, "cell": {"name": cell, "kwargs": {"hidden_dim": size}}}
    name = f"{task}{cell}{size}-{number}"
    trials.append({"id": name, "overrides": overrides, "labels": {"task": f"the {task}"}})
    run, off = RunFolder(folder / "trials" / name), 0.1 * number + shift
    run.start(config)
    losses = {"train": TRAIN[task][size] + off, "valid": VALID[task][size] + off, "test": VALID[task][size] + off}
    run.finish({"status": "finished", "step": 9, "metrics": {split: {"loss": v} for split, v in losses.items()},
                "baseline": 11.0 if folds else 3.25, "solved": False})  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    trials = []
    for task, tried, repeats in (("chorales", SMALL, FOLDS), ("prose", LARGE, SEEDS)):
        for size in tried:
            for number in range(repeats):
                write_trial(tmp_path, trials, task, size, number)
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    return tmp_path


def change(folder, name, **changes):
    run = RunFolder(folder / "trials" / name)
    run.finish(run.result() | changes)


def choices(folder):
    table = chosen(open_sweep(folder))
    return {(r.task, r.cell): (r.hidden_dim, r.by) for r in table[table["chosen"].astype(bool)].itertuples()}


def test_the_choice_is_the_least_mean_over_folds_or_seeds(sweep):
    table = chosen(open_sweep(sweep))
    assert list(table) == ["task", "cell", "hidden_dim", "train", "valid", "runs", "chosen", "by"]
    assert table["hidden_dim"].tolist() == [*SMALL, *LARGE]
    assert table["runs"].tolist() == [FOLDS] * 3 + [SEEDS] * 4
    np.testing.assert_allclose(table["valid"], [9.2, 8.2, 8.7, 3.1, 2.1, 1.6, 1.35])
    np.testing.assert_allclose(table["train"], [9.1, 7.2, 5.2, 3.0, 2.0, 1.5, 1.1])
    assert choices(sweep) == {
        ("the chorales", "gru"): (16, "cross-validation over 5 folds"),
        ("the prose", "gru"): (1024, "hold-out"),
    }


def test_a_size_with_fewer_folds_is_not_chosen_for_its_easy_ones(sweep):
    for number in range(1, FOLDS):
        change(sweep, f"choralesgru32-{number}", status="failed")
    table = chosen(open_sweep(sweep)).set_index("hidden_dim")
    assert table.loc[32, "runs"] == 1
    change(sweep, "choralesgru32-0", metrics={"train": {"loss": 1.0}, "valid": {"loss": 1.0}})
    assert choices(sweep)["the chorales", "gru"] == (16, "cross-validation over 5 folds")


def test_a_size_with_a_loss_that_is_no_number_is_not_chosen(sweep):
    nan = {"train": {"loss": float("nan")}, "valid": {"loss": float("nan")}}
    change(sweep, "prosegru1024-1", status="diverged", metrics=nan)
    assert np.isnan(chosen(open_sweep(sweep)).set_index("hidden_dim").loc[1024, "valid"])
    assert choices(sweep)["the prose", "gru"] == (256, "hold-out")


def test_folds_that_were_not_run_are_not_claimed(sweep):
    there = read_json(sweep / "sweep.json")
    there["trials"] = [t for t in there["trials"] if t["overrides"].get("task.kwargs.fold", 0) < 2]
    write_json(sweep / "sweep.json", there)
    assert choices(sweep)["the chorales", "gru"] == (16, "2 of 5 folds")


def test_the_figure_shows_the_means_the_range_and_the_choice(sweep):
    figure = sizes(open_sweep(sweep))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["the chorales\ncross-validation over 5 folds", "the prose\nhold-out"]
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["valid"].get_xydata(), [[8, 9.2], [16, 8.2], [32, 8.7]])
    np.testing.assert_allclose(lines["train"].get_xydata(), [[8, 9.1], [16, 7.2], [32, 5.2]])
    assert figure.axes[0].get_xscale() == "log"
    # The chorales' 11 would leave the curves at the bottom.
    assert "memoryless" not in lines
    assert "memoryless" in [line.get_label() for line in figure.axes[1].get_lines()]
    shade = figure.axes[0].collections[0].get_paths()[0].vertices
    assert shade[shade[:, 0] == 16, 1].min() == pytest.approx(8.0)
    assert shade[shade[:, 0] == 16, 1].max() == pytest.approx(8.4)
    for axes, at, says in zip(figure.axes, ([16, 8.2], [1024, 1.35]), ("16", "1024, the largest tried"), strict=True):
        ring = next(line for line in axes.get_lines() if line.get_fillstyle() == "none")
        np.testing.assert_allclose(ring.get_xydata(), [at])
        assert [text.get_text() for text in axes.texts] == [says]
    plt.close("all")


def test_two_cells_have_a_pair_of_curves_and_a_choice_each(sweep):
    there = read_json(sweep / "sweep.json")
    for size in LARGE:
        for number in range(SEEDS):
            write_trial(sweep, there["trials"], "prose", size, number, "lstm", shift=2.0 if size == 1024 else 0.0)
    write_json(sweep / "sweep.json", there)
    assert choices(sweep)["the prose", "lstm"] == (256, "hold-out")
    lines = {line.get_label(): line for line in sizes(open_sweep(sweep)).axes[1].get_lines()}
    assert {"gru, valid", "gru, train", "lstm, valid", "lstm, train"} <= set(lines)
    assert lines["gru, valid"].get_color() == lines["gru, train"].get_color() != lines["lstm, valid"].get_color()
    plt.close("all")


def test_nothing_where_sizes_are_no_question(sweep):
    there = read_json(sweep / "sweep.json")
    write_json(sweep / "sweep.json", there | {"trials": [t for t in there["trials"] if "16-" in t["id"]]})
    with pytest.raises(NothingToDraw):
        sizes(open_sweep(sweep))
    assert chosen(open_sweep(sweep)).empty
    few = [t for t in there["trials"] if t["overrides"]["cell.kwargs.hidden_dim"] in (8, 16)]
    write_json(sweep / "sweep.json", there | {"trials": few})
    with pytest.raises(NothingToDraw):
        sizes(open_sweep(sweep))


def test_a_search_is_not_drawn(sweep):
    export(sweep, sweep / "packed")
    assert sizes(open_sweep(sweep / "packed")) is not None
    plt.close("all")
    there = read_json(sweep / "sweep.json")
    for trial in there["trials"]:
        own = {"numbers": [len(trial["id"])], "overrides": trial["overrides"], "labels": trial["labels"], "params": {}}
        write_json(sweep / "trials" / trial["id"] / "trial.json", own)
    search = {"method": "random", "metric": "loss", "mode": "min", "trials": 3}
    write_json(sweep / "sweep.json", {"config": {}, "trials": [], "search": search})
    with pytest.raises(NothingToDraw):
        sizes(open_sweep(sweep))


def test_a_fold_repeats_a_setting_as_a_seed_does(sweep):
    table = summary(open_sweep(sweep))
    assert table["trials"].tolist() == [FOLDS] * 3 + [SEEDS] * 4
    assert table["test_loss_median"].tolist() == pytest.approx([9.2, 8.2, 8.7, 3.1, 2.1, 1.6, 1.35])
    html = page.render(open_sweep(sweep), table, {})
    for trial, setting, numbers in (
        ("choralesgru16-3", "the chorales, hidden_dim 16", [NOTHING, "3"]),
        ("prosegru64-2", "the prose, hidden_dim 64", ["2", NOTHING]),
    ):
        row = re.search(rf"<tr>\s*<t[hd][^>]*>{trial}<.*?</tr>", html, re.DOTALL)
        cells = re.findall(r"<t[hd][^>]*>([^<]*)<", row[0])
        assert cells[:4] == [trial, setting, *numbers]


def test_each_task_has_its_own_loss_without_memory(sweep):
    dashed = [line for line in scores.losses(open_sweep(sweep)).axes[0].get_lines() if line.get_linestyle() == "--"]
    assert [set(line.get_ydata()) for line in dashed] == [{11.0}, {3.25}]
    plt.close("all")


@pytest.mark.slow
def test_it_is_part_of_the_report(sweep):
    assert {"sizes.png", "sizes.svg"} <= {path.name for path in write(open_sweep(sweep))}
    assert "Ringed: the size with the least mean loss on valid" in (sweep / "report.html").read_text()
