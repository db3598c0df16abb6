"""Promise 4: a bit, half a file or a whole file lost from a checkpoint is found before anything trains on it."""

import random
import shutil

import pytest
from injectors import flip, numbers, small, trained, truncate

from rnngen.config import build
from rnngen.generation.generator import load_generator
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint, fit


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, its config, and a copy that was stopped before its result."""
    path = tmp_path_factory.mktemp("whole")
    config = small()
    trained(path / "run", config)
    shutil.copytree(path / "run", path / "cut")
    RunFolder(path / "cut").forget()
    return path, config


def damaged(folder, file, how, lots):
    """Damage a file of the newest checkpoint; False where there is nothing to damage."""
    if how == "deleted":
        file.unlink()
    elif not file.stat().st_size:
        return False
    elif how == "truncated":
        truncate(file)
    else:
        flip(file, lots.randrange(8 * file.stat().st_size))
    return True


def told(file, line):
    """Whether a line names a file; of a flip in the sums no more is known than that they and a file disagree."""
    return file.name in line or (file.name == "SHA256SUMS" and ("is missing" in line or "has changed" in line))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a bit flipped", "truncated", "deleted"])
def test_a_damaged_file_is_found_named_and_the_step_before_it_used(tmp_path, whole, faults, how, capfd):
    path, config = whole
    expected, lots = numbers(path / "run"), random.Random(0)
    newest, before = checkpoint.steps(path / "cut" / "checkpoints")[::-1]
    files = sorted(
        p.relative_to(path / "cut") for p in (path / "cut").glob(f"checkpoints/*{newest}/**/*") if p.is_file()
    )
    assert len(files) > 5
    tried, lost = 0, []
    for file in files * faults.count(1, 20 if how == "a bit flipped" else 1):
        cut = shutil.copytree(path / "cut", tmp_path / "cut")
        if damaged(cut, cut / file, how, lots):
            tried += 1
            step, wrong = checkpoint.newest(cut / "checkpoints")
            lost += [] if step == before and len(wrong) == 1 and told(file, wrong[0]) else [(str(file), wrong)]
            if tried <= faults.count(2, 1000):
                trained(cut, config)
                lost += [] if numbers(cut) == expected else [(str(file), "other numbers")]
                lost += [] if told(file, capfd.readouterr().err) else [(str(file), "not told")]
        shutil.rmtree(cut)
    faults.tell(f"a file of a checkpoint: {how}", tried, lost)


@pytest.mark.slow
def test_with_no_good_checkpoint_training_starts_again(tmp_path, whole):
    path, config = whole
    cut = shutil.copytree(path / "cut", tmp_path / "cut")
    for sums in cut.glob("checkpoints/*/SHA256SUMS"):
        sums.unlink()
    assert checkpoint.newest(cut / "checkpoints")[0] is None
    trained(cut, config)
    assert numbers(cut) == numbers(path / "run")


def test_what_was_added_or_cut_short_is_told(tmp_path, whole):
    path, _ = whole
    cut = shutil.copytree(path / "cut", tmp_path / "cut")
    (cut / "checkpoints" / "step_000000008" / "state" / "more").write_text("x")
    with open(cut / "checkpoints" / "step_000000006" / "SHA256SUMS", "rb+") as sums:
        sums.truncate((cut / "checkpoints" / "step_000000006" / "SHA256SUMS").stat().st_size - 1)
    _, wrong = checkpoint.newest(cut / "checkpoints")
    assert [line.split(": ")[1] for line in wrong] == ["state/more was not written there", "SHA256SUMS was cut short"]


@pytest.mark.slow
def test_a_sample_is_made_of_a_good_step_or_refused(tmp_path):
    config = small(task={"name": "text", "kwargs": {"source": "python", "chunk": 8}}, steps=4)
    trained(tmp_path, config)
    for step, good in ((4, True), (2, False)):
        flip(next((tmp_path / "checkpoints" / f"step_{step:09d}").rglob("_METADATA")), 100)
        if good:
            assert load_generator(tmp_path).codec.show is not None
        else:
            with pytest.raises(ValueError, match="_METADATA has changed"):
                load_generator(tmp_path)


def test_a_state_of_another_structure_is_refused_by_name(tmp_path, whole):
    cut = shutil.copytree(whole[0] / "cut", tmp_path / "cut")
    with pytest.raises(ValueError, match="step_000000008: holds another state than this version trains"):
        fit(build(small("gru")), RunFolder(cut))
