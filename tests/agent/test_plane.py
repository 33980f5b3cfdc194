from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import feed
from ferriage.agent import layout, nft, plane, slots

NOW = 1_800_000_000.0
KEY = "A" * 43 + "="


def _device(number: int = 1, hold_in: float = 60) -> plane.Plane:
    device = feed.device(number, public_key=KEY, hold_at=NOW + hold_in)
    return plane.of_device(device, NOW, "fer0")


def test_open_device_has_all_elements_and_a_held_one_is_absent_from_open() -> None:
    opened, held = _device(), _device(hold_in=0)

    assert opened == {
        "cap_up": {1001: (12_500_000, 1 << 20)},
        "cap_dl": {1001: (12_500_000, 1 << 20)},
        "use_up": {1001: None},
        "use_dl": {1001: None},
        "open": {"fer0 . 0x000003e9": NOW + 60},
    }
    assert held == {name: value for name, value in opened.items() if name != "open"}


def test_device_with_listed_networks_is_open_to_these_alone() -> None:
    listed = feed.device(1, public_key=KEY, hold_at=NOW + 9, routes=("10.20.0.0/16", "fd20::/64"))

    elements = plane.of_device(listed, NOW, "fer0")

    assert "open" not in elements
    assert elements["open_routes"] == {"fer0 . 0x000003e9": NOW + 9}
    assert elements["routes4"] == {"1001 . 10.20.0.0/16": None}
    assert elements["routes6"] == {"1001 . fd20::/64": None}


def test_listed_networks_read_back_as_they_were_written() -> None:
    four = "0x000003e9 . 10.20.0.0/16,\n\t\t\t     0x000003e9 . 10.30.0.9"

    read4, _ = _listed("routes4", f"\t\tflags interval\n\t\telements = {{ {four} }}\n")
    read6, _ = _listed("routes6", "\t\telements = { 0x000003e9 . fd20::/64 }\n")

    assert read4 == {"1001 . 10.20.0.0/16": None, "1001 . 10.30.0.9/32": None}
    assert read6 == {"1001 . fd20::/64": None}


def test_same_plane_needs_no_step() -> None:
    assert plane.diff(_device(), _device(), NOW) == []


def test_renewal_replaces_only_the_element_in_open_even_when_it_just_expired() -> None:
    steps = plane.diff(_device(hold_in=1), _device(hold_in=3600), NOW)

    assert plane.render(steps, table="t", guard="g", now=NOW) == (
        "add element inet t open { fer0 . 0x000003e9 }\n"
        "delete element inet t open { fer0 . 0x000003e9 }\n"
        "add element inet t open { fer0 . 0x000003e9 timeout 3600s0ms }\n"
    )


def test_removal_closes_and_unmaps_but_leaves_the_counter_to_be_read() -> None:
    steps = plane.diff(_device(), {}, NOW)

    assert {step.name for step in steps} == {"cap_up", "cap_dl", "open"}


def test_way_that_changes_is_taken_out_before_it_is_put_in() -> None:
    text = plane.render(
        plane.diff({"way": {"fer0": 1}}, {"way": {"fer0": 2}}, NOW), table="t", guard="g", now=NOW
    )

    assert text == "delete element inet t way { fer0 }\nadd element inet t way { fer0 : 2 }\n"


def test_change_of_routes_moves_a_device_from_one_open_set_to_the_other() -> None:
    device = feed.device(1, public_key=KEY, hold_at=NOW + 60, routes=("10.20.0.0/16",))

    steps = plane.diff(_device(), plane.of_device(device, NOW, "fer0"), NOW)

    key = "fer0 . 0x000003e9"
    assert steps == [
        plane.Step("routes4", (), (("1001 . 10.20.0.0/16", None),)),
        plane.Step("open", (key,), ()),
        plane.Step("open_routes", (), ((key, NOW + 60),)),
    ]


def test_ends_far_away_are_not_moved_again_and_again() -> None:
    live: plane.Plane = {"open": {1: NOW + plane.LONGEST_SECONDS}}

    assert plane.diff(live, {"open": {1: NOW + 50 * 365 * 86400}}, NOW) == []


@pytest.mark.parametrize("drift", [-0.6, 0.6])
def test_drifted_end_is_set_right(drift: float) -> None:
    steps = plane.diff({"open": {1: NOW + 60 + drift}}, {"open": {1: NOW + 60}}, NOW)

    assert steps == [plane.Step("open", (1,), ((1, NOW + 60),))]


_PLANES = st.fixed_dictionaries(
    {
        "open": st.dictionaries(
            st.integers(1, 9), st.sampled_from([NOW + 5, NOW + 50, NOW + 500]), max_size=5
        ),
        "way": st.dictionaries(
            st.sampled_from(["fer0", "fer1", "fer2"]), st.integers(1, 9), max_size=3
        ),
        "cap_up": st.dictionaries(
            st.integers(1, 9), st.tuples(st.integers(1, 3), st.just(9)), max_size=5
        ),
        "use_up": st.dictionaries(st.integers(1, 9), st.none(), max_size=5),
    }
)


@given(live=_PLANES, wanted=_PLANES)
def test_steps_lead_to_what_is_wanted_and_then_none_is_left(
    live: plane.Plane, wanted: plane.Plane
) -> None:
    plane.patch(live, plane.diff(live, wanted, NOW))

    assert plane.diff(live, wanted, NOW) == []
    assert {name: live[name] for name in ("open", "way", "cap_up")} == {
        name: wanted[name] for name in ("open", "way", "cap_up")
    }
    assert live["use_up"].keys() >= wanted["use_up"].keys()


def _listed(name: str, elements: str) -> tuple[dict[plane.Key, plane.Value], dict[int, int]]:
    text = f"table inet ferriage {{\n\tset {name} {{\n\t\ttype mark\n{elements}\t}}\n}}\n"
    return nft.parse_set(name, text, NOW)


@pytest.mark.parametrize(
    ("name", "printed", "elements"),
    [
        (
            "lines",
            '"fer0" timeout 16m40s expires 16m39s996ms',
            {"fer0": pytest.approx(NOW + 999.996)},
        ),
        (
            "open",
            (
                '"fer0" . 0x00000005 timeout 700d expires 1d2h3m4s5ms, '
                '"fer1" . 0x00000005 timeout 10s expires 9s996ms'
            ),
            {
                "fer0 . 0x00000005": pytest.approx(NOW + 93784.005),
                "fer1 . 0x00000005": pytest.approx(NOW + 9.996),
            },
        ),
        ("way", '"fer0" : 0x0fe10000', {"fer0": 0x0FE10000}),
        (
            "cap_up",
            "0x00000005 limit rate 125000 bytes/second burst 64 kbytes",
            {5: (125_000, 65_536)},
        ),
        ("shop4", "192.0.2.10 . 8443", {"192.0.2.10 . 8443": None}),
    ],
)
def test_listing_is_parsed_into_elements(name: str, printed: str, elements: object) -> None:
    assert _listed(name, f"\t\telements = {{ {printed} }}\n") == (elements, {})


def test_listing_of_a_counting_set_is_parsed_into_bytes_too() -> None:
    printed = "0x00000005 counter packets 3 bytes 1234, 0xffffffff counter packets 0 bytes 0"

    elements, counted = _listed("use_dl", f"\t\tcounter\n\t\telements = {{ {printed} }}\n")

    assert elements == {5: None, 0xFFFFFFFF: None}
    assert counted == {5: 1234, 0xFFFFFFFF: 0}


def test_listing_of_an_empty_set_holds_nothing() -> None:
    assert _listed("way", "") == ({}, {})


def _layout(**changes: object) -> str:
    inner = (slots.inner(feed.ASSIGNMENT),)
    settings = {"table": "t", "comment": "life 1", "hold_port": 8480, "allow_networks": ()}
    return layout.text(**(settings | {"inner": inner} | changes))


def test_open_and_lines_are_asked_before_anything_established() -> None:
    text = _layout()

    up = text.index("iifname @lines iifname . meta mark @open goto up_world")
    down = text.index("oifname @lines oifname . meta mark @open ct state established,related")
    assert "established" not in text[text.index("chain through {\n") : up]
    assert "established" not in text[text.index("chain down {\n") : down]


def _chain(name: str) -> str:
    return (
        _layout().split("flush table inet t_guard")[1].split(f"chain {name} {{\n")[1].split("}")[0]
    )


@pytest.mark.parametrize("routes", [(), ("10.8.0.0/16",), ("fd00:8::/64",)])
def test_device_is_open_to_the_world_or_to_its_routes_and_never_both(
    routes: tuple[str, ...],
) -> None:
    """The rules ask for `open` first, and then not for routes any more."""
    elements = plane.of_device(feed.device(1, public_key="K", hold_at=9, routes=routes), 0, "fer0")

    assert bool(routes) == bool(elements.keys() & {"routes4", "routes6"})
    assert elements.keys() & {"open", "open_routes"} == {"open_routes" if routes else "open"}


def test_packet_is_asked_once_in_each_chain_whether_it_comes_out_of_a_tunnel() -> None:
    chains = ("slots", "steer", "to_gateway", "through", "up", "down")

    asked = {name: _chain(name).count("iifname @inner") for name in chains}
    assert asked == {"slots": 1, "steer": 0, "to_gateway": 0, "through": 1, "up": 0, "down": 0}
    assert [_chain(name).count("iifname != @inner") for name in chains] == [0, 1, 1, 0, 0, 0]


def test_tunnel_to_tunnel_is_refused_before_anything_is_counted() -> None:
    assert _chain("up").split()[:4] == ["oifname", "@inner", "goto", "refused"]


def test_each_accept_towards_the_internet_counts() -> None:
    rules = _layout().split("flush table inet t_guard")[1].split("chain through {\n")[1]

    accepts = [line.strip() for line in rules.splitlines() if line.strip().endswith("accept")]
    assert accepts == [
        "meta mark @cap_up meta mark @use_up accept",
        "meta mark @cap_dl meta mark @use_dl accept",
    ]


def test_allowed_networks_come_before_the_denied_ranges() -> None:
    text = _layout(allow_networks=("10.1.0.0/16", "fd01::/64"))

    assert text.index("ip daddr 10.1.0.0/16 goto count_up") < text.index("ip daddr { 0.0.0.0/8")
    assert text.index("ip6 daddr fd01::/64 goto count_up") < text.index("ip daddr { 0.0.0.0/8")
