from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from register_cases import AT, BUILTIN, DEMO, row, write_pack

from ferriage.approvals import packs
from ferriage.approvals.facts import CUSTOMER_CLASSES, ROLES, USES
from ferriage.approvals.packfile import is_user_assigned

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC_OPERATE = ("operate", "public", "resale")


def test_builtin_packs_are_these_places() -> None:
    assert set(BUILTIN.by_place) == {
        *("CN", "DE", "FR", "GB", "HK", "IN", "JP", "NL", "SE", "US"),
    }


@pytest.mark.parametrize("pack", DEMO.by_place.values(), ids=lambda pack: pack.place)
def test_places_authorities_and_kinds_are_named_in_every_language(pack: packs.Pack) -> None:
    named = [pack.names, *(item.names for item in pack.authorities.values())]
    named += [kind.names for kind in pack.kinds.values()]
    assert [set(names) for names in named] == [{"en", "zh-hans", "de", "fa"}] * len(named)


@pytest.mark.parametrize("pack", BUILTIN.by_place.values(), ids=lambda pack: pack.place)
def test_every_source_that_carries_no_answer_says_what_to_read(pack: packs.Pack) -> None:
    answered = {row.source for row in pack.rows if row.answer != "unknown"}
    silent = [source for key, source in pack.sources.items() if key not in answered]
    assert [source.title for source in silent if "To be read:" not in source.note] == []
    assert [row.clause for row in pack.rows if row.answer == "unknown" and not row.note] == []


def test_demo_pack_is_not_built_in_and_says_it_is_invented() -> None:
    assert packs.demo_path() not in packs.builtin_paths()
    assert DEMO.by_place["XD"].invented


def test_demo_pack_is_refused_on_a_public_site() -> None:
    with pytest.raises(packs.PackError, match="XD is an invented place"):
        packs.load([packs.demo_path()])


@pytest.mark.parametrize("customer_class", ["public", "enterprise"])
@pytest.mark.parametrize("use", USES)
def test_crossing_cns_border_for_others_is_not_obtainable(customer_class: str, use: str) -> None:
    found = BUILTIN.by_place["CN"].row(("cross", customer_class, use), AT)  # type: ignore[arg-type]
    assert found is not None
    assert (found.answer, found.clause) == ("not_obtainable", "二(二)4")
    assert "工信部信管函〔2017〕32号" in BUILTIN.by_place["CN"].sources[found.source].title


@pytest.mark.parametrize("place", sorted({*BUILTIN.by_place} - {"CN"}))
def test_places_whose_law_was_not_read_answer_unknown_everywhere(place: str) -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    answers = [
        found.answer
        for role in ROLES
        for customer_class in CUSTOMER_CLASSES
        for use in USES
        if (found := BUILTIN.by_place[place].row((role, customer_class, use), at))
    ]
    assert answers == ["unknown"] * (len(ROLES) * len(CUSTOMER_CLASSES) * len(USES))


def test_pack_carries_the_digest_of_its_file() -> None:
    data = packs.demo_path().read_bytes()
    assert DEMO.by_place["XD"].digest == hashlib.sha256(data).hexdigest()
    assert DEMO.versions["XD"] == f"{DEMO.by_place['XD'].version} {DEMO.by_place['XD'].digest}"


def test_unknown_key_is_refused_with_file_row_and_key(tmp_path: Path) -> None:
    rows = row("unknown") + row("unknown", effective_from="2021-01-01", flavour='"salt"')
    path = write_pack(tmp_path / "JP.toml", rows=rows)
    with pytest.raises(packs.PackError) as refusal:
        packs.load_file(path)
    assert str(refusal.value) == (
        f"{path}: Object contains unknown field `flavour` - at `$.rows[1]`."
    )


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (row("perhaps"), "Invalid enum value 'perhaps' - at `$.rows[0].answer`"),
        (row("required"), "row 1: answer required and kinds do not go together"),
        (
            row("not_required", kinds='["JP-LICENCE"]'),
            "row 1: answer not_required and kinds do not go together",
        ),
        (row("required", kinds='["JP-TEA"]'), "row 1: kind JP-TEA is not listed"),
        (
            row("required", kinds='["JP-LICENCE"]', uses='["internal_office"]'),
            "row 1: kind JP-LICENCE does not cover every role, class and use of the row",
        ),
        (
            row("notify", kinds='["JP-LICENCE"]'),
            "row 1: answer notify, but kind JP-LICENCE counts on_grant",
        ),
        (row("unknown", source='"rumour"'), "row 1: source rumour is not listed"),
        (
            row("not_required", source='"paper"'),
            "row 1: answer not_required needs a primary source that was read, with the date",
        ),
        (
            row("not_required", source='"quoted"'),
            "row 1: answer not_required needs a source whose own text was read",
        ),
        (row("not_obtainable", clause='""'), "row 1: answer not_obtainable needs a clause"),
        (
            row("unknown") + row("not_required"),
            "row 2: operate public resale is answered twice from the same day",
        ),
        (row("unknown", roles=""), "row 1: roles, customer_classes and uses must each name"),
    ],
)
def test_pack_with_a_fault_is_refused_and_the_fault_named(
    tmp_path: Path, rows: str, fault: str
) -> None:
    path = write_pack(tmp_path / "JP.toml", rows=rows)
    with pytest.raises(packs.PackError) as refusal:
        packs.load_file(path)
    assert f"{path}: {fault}" in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "head", "fault"),
    [
        ("Japan", "", "place 'Japan' is not an ISO 3166 code"),
        ("XA", "", "`invented` must say whether XA is a code that no country has"),
        ("JP", "invented = true", "`invented` must say whether JP is a code that no country has"),
    ],
)
def test_pack_of_a_wrong_place_is_refused(
    tmp_path: Path, place: str, head: str, fault: str
) -> None:
    path = write_pack(tmp_path / "pack.toml", place=place, head=head, rows=row("unknown"))
    with pytest.raises(packs.PackError) as refusal:
        packs.load_file(path, allow_user_assigned=True)
    assert str(refusal.value) == f"{path}: {fault}."


@pytest.mark.parametrize("version", ["", "v" * 41])
def test_version_that_cannot_be_kept_is_refused(version: str) -> None:
    text = (
        packs.demo_path().read_text(encoding="utf-8").replace(DEMO.by_place["XD"].version, version)
    )
    with pytest.raises(packs.PackError, match="version must have 1 to 40 characters"):
        packs.parse(text, name="XD", allow_user_assigned=True)


def test_pack_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("place = ", encoding="utf-8")
    with pytest.raises(packs.PackError, match="No such file"):
        packs.load_file(tmp_path / "absent.toml")
    with pytest.raises(packs.PackError, match="not TOML"):
        packs.load_file(broken)


def test_added_pack_may_not_replace_a_built_in_one(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "CN.toml", place="CN", rows=row("not_required"))
    with pytest.raises(packs.PackError, match="there is a pack for CN already"):
        packs.load([path])


@pytest.mark.parametrize("code", ["AA", "QM", "QZ", "XA", "XD", "XZ", "ZZ", "XD-1"])
def test_user_assigned_codes_are_known(code: str) -> None:
    assert is_user_assigned(code)


@pytest.mark.parametrize("code", ["QA", "CN", "ZA", "AX", "SE-AB"])
def test_codes_of_countries_are_not_user_assigned(code: str) -> None:
    assert not is_user_assigned(code)


def test_row_takes_over_at_midnight_of_the_authority(tmp_path: Path) -> None:
    rows = row("unknown") + row("not_obtainable", effective_from="2027-01-01")
    pack = packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))
    change = datetime(2026, 12, 31, 15, tzinfo=UTC)
    before = datetime(2026, 12, 31, 14, 59, 59, 999999, tzinfo=UTC)
    answers = [found.answer for at in (before, change) if (found := pack.row(PUBLIC_OPERATE, at))]
    assert answers == ["unknown", "not_obtainable"]
    assert pack.next_change(PUBLIC_OPERATE, before) == change
    assert pack.next_change(PUBLIC_OPERATE, change) is None


def test_subdivision_follows_its_own_pack_else_its_country() -> None:
    assert [BUILTIN.jurisdiction(place) for place in ("CN-11", "HK", "SE")] == ["CN", "HK", "SE"]


def test_days_at_the_ends_of_the_calendar_do_not_overflow() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert packs.midnight(date.min, zone) < AT < packs.end_of(date.max, zone)
