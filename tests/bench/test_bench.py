"""scripts/bench.py: every command runs, and what it writes follows from the times in it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnngen.storage.jsonl import read_json

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import bench  # noqa: E402
from benchmarks import contenders, machine, protocol, sharding, tables, timing  # noqa: E402


def run(*arguments):
    command = [sys.executable, str(SCRIPTS / "bench.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def measured(tmp_path, *arguments):
    """(what was printed, what was written)."""
    out = tmp_path / "f.json"
    done = run(*arguments, "--quick", "--repeats", 2, "--out", out)
    assert done.returncode == 0, done.stderr
    return done.stdout, read_json(out)


def assert_ratios(record, groups, bases):
    """Every ratio is the median over repeats of the times of a row and of its base, row by row of a group."""
    assert record["rows"]
    for row in record["rows"]:
        assert row["repeats"] == len(row["times"]) == 2
        assert row["seconds"] == pytest.approx(np.median(row["times"]))
        for field, name in bases.items():
            same = [other for other in record["rows"] if all(other[key] == row[key] for key in groups)]
            (base,) = (other for other in same if other["contender"] == name)
            assert row[field] == pytest.approx(np.median(np.divide(row["times"], base["times"])))
            low, high = row[f"{field}_interval"]
            assert low <= row[field] <= high


def assert_facts(record):
    facts = record["machine"]
    assert {"jax", "jaxlib", "flax", "torch", "dm-haiku", "equinox"} <= set(facts["versions"])
    assert {"cpu", "cores", "ram_bytes", "platform", "python", "devices", "keeps_memory"} <= set(facts)
    assert facts["time"].endswith("+00:00")


@pytest.mark.slow
def test_layers(tmp_path):
    printed, record = measured(tmp_path, "layers", "--only", "lstm", "--devices", 2)
    bases = {
        "ratio": "rnngen auto, all devices",
        "ratio_one_device": "rnngen auto",
        "ratio_scan": "rnngen scan",
        "ratio_floor": "floor",
    }
    assert_ratios(record, ("case", "pass"), bases)
    assert_facts(record)
    assert len(record["machine"]["devices"]) == 2
    assert record["machine"]["keeps_memory"] == (sys.platform == "linux")
    assert {row["pass"] for row in record["rows"]} == {"forward", "forward+backward"}
    flax = next(row for row in record["rows"] if (row["contender"], row["pass"]) == ("flax", "forward+backward"))
    assert flax["same_values"]
    # The geometric mean over a single shape is its ratio.
    (summary,) = (row for row in record["summary"]["layers"] if row["pass"] == "forward+backward")
    assert summary["flax_to_all_devices"] == pytest.approx(flax["ratio"])
    timed = {row["contender"] for row in record["rows"]}
    for library in ("torch", "haiku", "equinox"):
        assert library in timed or f"{library} is not installed" in printed


@pytest.mark.slow
def test_steps(tmp_path):
    _, record = measured(tmp_path, "steps", "--only", "gru", "--devices", 1, "--default_malloc")
    assert_ratios(record, ("case",), {"ratio": "rnngen auto, all devices", "ratio_one_device": "rnngen auto"})
    assert len(record["machine"]["devices"]) == 1
    assert not record["machine"]["keeps_memory"]


@pytest.mark.slow
def test_lengths(tmp_path):
    _, record = measured(tmp_path, "lengths", "--only", "lstm", "--longest", 16)
    assert_ratios(record, ("case",), {"ratio": "scan"})
    assert {row["t"] for row in record["rows"]} == {8, 16}
    assert all(row["memory_bytes"] > 0 for row in record["rows"])
    assert {row["contender"] for row in record["summary"]["lengths"]} >= {"scan", "scan, remat"}


@pytest.mark.slow
def test_compile(tmp_path):
    _, record = measured(tmp_path, "compile", "--only", "rnn")
    assert_ratios(record, ("case",), {"ratio": "scan"})


@pytest.mark.slow
def test_diagnoses(tmp_path):
    _, record = measured(tmp_path, "diagnoses", "--only", "rnn")
    flow, spectrum = ([r for r in record["rows"] if r["case"] == case] for case in ("rnn flow", "rnn spectrum"))
    assert_ratios({"rows": flow}, ("case",), {"ratio": "training step"})
    assert {row["contender"] for row in flow} >= {"training step", "carry_gradients", "lag_norms"}
    assert [row["contender"] for row in spectrum] == ["all exponents"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["layer"], "invalid choice: 'layer'"),
        (["layers", "--repeats", "0"], "--repeats: must be a positive whole number, got '0'"),
        (["layers", "--only", "lstn"], "--only: no case has 'lstn' in its name, there are lstm"),
        (["lengths", "--longest", "100"], "--longest: must be at least 128, got 100"),
    ],
)
def test_bad_options_are_named(arguments, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(arguments)
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_contenders_are_timed_once_a_repeat():
    order = []
    times = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 4, warm=1)
    assert [len(seconds) for seconds in times.values()] == [4, 4]
    assert all(sorted(order[i : i + 2]) == ["a", "b"] for i in range(0, len(order), 2))
    assert len(order) == 10


def test_ratios_are_paired():
    # The machine slows down tenfold between repeats; the ratio does not move.
    ratio = timing.paired_ratio([2, 20, 200], [1, 10, 100])
    assert ratio == (2, 2, 2)


def test_bootstrap_interval_of_one_value_is_that_value():
    assert timing.bootstrap_interval([3.0] * 5) == (3, 3)


def test_bootstrap_interval_covers_the_true_median():
    draw = np.random.default_rng(0)
    intervals = [timing.bootstrap_interval(draw.lognormal(size=15), resamples=500) for _ in range(200)]
    covered = np.mean([low <= 1 <= high for low, high in intervals])
    assert 0.88 <= covered <= 1


def test_bootstrap_interval_narrows_as_one_over_root_n():
    draw = np.random.default_rng(0)
    few, many = (np.ptp(timing.bootstrap_interval(draw.normal(size=n))) for n in (100, 10000))
    assert few / many == pytest.approx(10, rel=0.4)


@pytest.mark.slow
def test_sweeps(tmp_path):
    out = tmp_path / "f.json"
    done = run("sweeps", "--quick", "--repeats", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    rows = {row["contender"]: row for row in read_json(out)["rows"]}
    assert {"rnngen sweep", "rnngen sweep, programs kept", "flax", "ideal", "plan", "drive", "table"} <= set(rows)
    assert {"bare steps", "bare steps, programs kept"} <= set(rows)
    assert rows["flax"]["ratio"] == pytest.approx(rows["flax"]["times"][0] / rows["rnngen sweep"]["times"][0])
    assert rows["ideal"]["seconds"] < rows["bare steps"]["seconds"] < rows["rnngen sweep"]["seconds"]
    assert rows["drive"]["ms_a_trial"] == pytest.approx(1e3 * rows["drive"]["seconds"] / 20)


def test_growth_exponent_is_that_of_a_power():
    lengths = 2.0 ** np.arange(7, 17)
    assert timing.growth_exponent(lengths, 3 * lengths**0.5) == pytest.approx(0.5)


def test_growth_exponent_looks_at_the_upper_half():
    lengths = [1, 2, 4, 8, 16, 32]
    assert timing.growth_exponent(lengths[::-1], [64, 16, 4, 9, 9, 9]) == pytest.approx(2)
    assert timing.growth_exponent([8], [1]) is None


def test_geometric_mean():
    assert timing.geometric_mean([0.5, 2, 8]) == pytest.approx(2)
    assert timing.geometric_mean([]) is None


def test_a_batch_is_split_evenly():
    assert [sharding.largest_divisor(20, devices) for devices in (1, 2, 3, 8, 64)] == [1, 2, 2, 5, 20]


def layer(name, gradient, **options):
    return contenders.Layer(name, list, list, lambda _: (1.0, np.asarray(gradient)), **options)


def test_a_layer_that_computes_something_else_is_named():
    right = layer("right", [1.0, 0.0])
    contenders.check_layers([right, layer("near", [1.0, 1e-5])], right, "case")
    contenders.check_layers([layer("of another function", [2.0, 0.0], same_values=False)], right, "case")
    for wrong in ([1.0, 1e-3], [np.nan, 0.0]):
        with pytest.raises(protocol.BenchError, match="case: the gradient of wrong"):
            contenders.check_layers([layer("wrong", wrong)], right, "case")


def test_what_is_not_there_is_left_out_with_a_line():
    found, lines = contenders.installed(["numpy", "no_such_library"])
    assert found == ["numpy"]
    assert lines == ["no_such_library is not installed and left out; to have it: pip install -e '.[bench]'"]
    found, lines = contenders.known_engines(["scan", "no_such_engine"])
    assert found == ["scan"]
    assert "no_such_engine" in lines[0]


def test_others_are_charged_with_what_the_process_did_not_use():
    before, after = machine.Used(0.0, 100.0, 5.0), machine.Used(10.0, 118.0, 14.0)
    assert machine.used_by_others(before, after) == pytest.approx(0.9)
    assert machine.used_by_others(before, after._replace(cores=None)) is None


def test_a_table_lines_up():
    rows = [{"name": "a", "seconds": 0.0015, "ratio": 2.0, "ratio_interval": [1.5, 2.5]}, {"name": "longer"}]
    columns = {"name": tables.text("name"), "ms": tables.milliseconds(), "ratio": tables.interval("ratio")}
    assert tables.table(rows, columns).splitlines() == [
        "name       ms              ratio",
        "a       1.500  2.00 [1.50, 2.50]",
        "longer      -                  -",
    ]


@pytest.mark.parametrize(
    ("march", "processor", "level"),
    [
        ("native", "flags : sse4_2 avx2 avx512f", "AVX-512"),
        ("native", "flags : sse4_2 avx2", "AVX2"),
        ("x86-64-v3", "flags : sse4_2 avx2 avx512f", "AVX2"),
        ("x86-64-v2", "flags : sse4_2 avx2 avx512f", "SSE4"),
    ],
)
def test_a_record_names_the_vectors_that_the_loops_have(monkeypatch, march, processor, level):
    monkeypatch.setenv("RNNGEN_MARCH", march)
    monkeypatch.setattr(machine.build, "processor", lambda: processor)
    assert machine.vector_level() == level


def test_no_record_without_the_vectors_being_known(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(machine, "vector_level", lambda: None)
    with pytest.raises(SystemExit):
        bench.main(["layers", "--quick", f"--out={tmp_path / 'x.json'}"])
    assert "this processor's vectors are not known" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
