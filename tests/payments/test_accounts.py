"""The shop's accounts with providers: one in use of each kind, all of one mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.errors import StaleState
from ferriage.core.sealed import Unsealable, seal, unseal
from ferriage.payments import accounts
from ferriage.payments.models import ProviderAccount
from ferriage.payments.providers import registry
from stand_in import StandIn
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter


class Other(StandIn):
    """A second provider."""

    slug = "other"


def add(counter: Counter, slug: str, mode: str) -> ProviderAccount:
    return accounts.add_provider(
        slug=slug,
        label=f"{slug} {mode}",
        mode=mode,
        secrets=counter.world.secrets,
        now=counter.now,
        actor=OWNER,
    )


@pytest.fixture
def counter(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> Counter:
    monkeypatch.setitem(registry.KINDS, "other", Other)
    return counter


def in_use() -> list[str]:
    return list(ProviderAccount.objects.filter(enabled=True).values_list("label", flat=True))


def test_next_account_of_a_kind_takes_the_place_of_the_one_before(counter: Counter) -> None:
    add(counter, "standin", "test")
    add(counter, "other", "test")

    assert sorted(in_use()) == ["other test", "standin test"]


def test_play_money_is_not_taken_beside_real_money(counter: Counter) -> None:
    with pytest.raises(accounts.ModesMixed):
        add(counter, "other", "test")

    assert in_use() == ["Stand-in"]


def test_account_of_another_mode_is_not_put_back_in_use(counter: Counter) -> None:
    now, live = counter.now, counter.account
    accounts.set_enabled(account=live, enabled=False, now=now, actor=OWNER)
    add(counter, "other", "test")

    with pytest.raises(accounts.ModesMixed):
        accounts.set_enabled(account=live, enabled=True, now=now, actor=OWNER)

    assert in_use() == ["other test"]


def test_account_is_not_taken_out_of_use_twice(counter: Counter) -> None:
    now, live = counter.now, counter.account
    accounts.set_enabled(account=live, enabled=False, now=now, actor=OWNER)

    with pytest.raises(StaleState):
        accounts.set_enabled(account=live, enabled=False, now=now, actor=OWNER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slug": "nobody"},
        {"mode": "play"},
        {"label": " "},
        {"secrets": {}},
        {"secrets": {"key": "x" * 4001, "file": "f"}},
    ],
)
def test_account_that_lacks_something_is_not_kept(
    counter: Counter, wrong: dict[str, object]
) -> None:
    right: dict[str, object] = {
        "slug": "standin",
        "label": "Card",
        "mode": "live",
        "secrets": counter.world.secrets,
    }

    with pytest.raises(accounts.ProviderWrong):
        accounts.add_provider(**right | wrong, now=counter.now, actor=OWNER)  # type: ignore[arg-type] -- on purpose

    assert ProviderAccount.objects.count() == 1


def test_account_that_does_not_open_hides_no_other_way_to_pay(counter: Counter) -> None:
    ProviderAccount.objects.update(secrets_sealed=seal("{}", place="elsewhere"))
    order = counter.till.order()

    offered = [means.slug for means in registry.means_for(order, counter.now)]
    told = [(account, fault.slug) for account, fault in registry.unusable()]

    assert offered == ["voucher", "bank"]
    assert told == [(counter.account, "unsealable")]


def test_sealed_text_opens_in_its_own_place_only() -> None:
    sealed = seal("a secret", place="pva_1")

    assert unseal(sealed, place="pva_1") == "a secret"
    assert seal("a secret", place="pva_1") != sealed
    with pytest.raises(Unsealable):
        unseal(sealed, place="pva_2")


def test_sealed_text_does_not_open_with_another_key(settings: object) -> None:
    sealed = seal("a secret", place="pva_1")
    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]

    with pytest.raises(Unsealable, match="another secret key"):
        unseal(sealed, place="pva_1")
