"""What a container leaves of the memory, under either version of control groups; sizes of windows and in words."""

from pathlib import Path

import pytest

from monai_bundles.memory import UNLIMITED_BYTES, control_group_bytes, memory_text, network_bytes, window_of


def group(folder: Path, names: tuple[str, str, str], limit: str, used: int, cached: int) -> None:
    """The files of one control group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\n{names[2]} {cached}\nfile 9\n")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def belongs(root: Path, text: str) -> None:
    """What the system says of the groups of this process."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(text)


def test_a_nested_group_of_version_2_counts_with_all_above_it(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/hospital.slice/radgate.service\n")
    mount = tmp_path / "sys" / "fs" / "cgroup"
    group(mount / "hospital.slice" / "radgate.service", V2, "9000", 1500, 500)
    assert control_group_bytes(tmp_path) == 8000

    group(mount / "hospital.slice", V2, "5000", 3000, 1000)

    assert control_group_bytes(tmp_path) == 3000
    group(mount, V2, "max", 1, 0)
    assert control_group_bytes(tmp_path) == 3000


def test_a_group_of_version_1_counts_and_its_number_for_no_limit_does_not(tmp_path: Path) -> None:
    belongs(tmp_path, "12:cpu,cpuacct:/docker/abc\n9:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n")
    mount = tmp_path / "sys" / "fs" / "cgroup" / "memory"
    group(mount, V1, str(0x7FFFFFFFFFFFF000), 4000, 0)
    assert UNLIMITED_BYTES <= 0x7FFFFFFFFFFFF000
    assert control_group_bytes(tmp_path) is None

    group(mount / "docker" / "abc", V1, "7000", 4000, 1000)

    assert control_group_bytes(tmp_path) == 4000


@pytest.mark.parametrize("place", ["0::/\n", "0::/../../outside\n", "0::/not/seen/in/this/container\n"])
def test_a_container_that_sees_its_own_group_as_the_root_is_read_there(tmp_path: Path, place: str) -> None:
    belongs(tmp_path, place)
    group(tmp_path / "sys" / "fs" / "cgroup", V2, "6000", 2000, 0)

    assert control_group_bytes(tmp_path) == 4000


def test_a_system_that_tells_nothing_has_no_limit(tmp_path: Path) -> None:
    assert control_group_bytes(tmp_path) is None
    belongs(tmp_path, "0::/\n")
    group(tmp_path / "sys" / "fs" / "cgroup", V2, "odd", 2000, 0)
    assert control_group_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("roi", "window"),
    [
        (None, (30, 20, 10)),
        (0, (30, 20, 10)),
        (96, (96, 96, 96)),
        ([16, -1, 0], (16, 20, 10)),
        ((16, None, 8), (16, 20, 8)),
        ([24, -1], (24, 30)),
    ],
)
def test_windows_are_read_as_inferers_take_them(roi: object, window: tuple[int, ...]) -> None:
    assert window_of(roi, (30, 20, 10)) == window


def test_sizes_are_written_for_people() -> None:
    assert memory_text(210 << 20) == "210 MiB"
    assert memory_text((3 << 30) + (1 << 29)) == "3.5 GiB"


def test_gradients_take_more_than_three_times_what_a_plain_call_takes() -> None:
    import torch

    network = torch.nn.Conv2d(1, 4, 3, padding=1)

    assert network_bytes(network, (1, 1, 40, 30), with_gradients=True) == 2 * 4 * 4 * 40 * 30
    assert network_bytes(network, (1, 1, 40, 30)) < network_bytes(network, (1, 1, 40, 30), with_gradients=True) / 3
