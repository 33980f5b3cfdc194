"""The contract, asked of the providers that need nobody outside, and of a stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contract import ByHandContract, NetContract

from ferriage.payments.providers.bank.provider import BankProvider
from ferriage.payments.providers.voucher.provider import VoucherProvider
from stand_in import StandInBooks, StandInWorld

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage.payments.providers.contract import Provider


class TestBank(ByHandContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return BankProvider()


class TestVoucher(ByHandContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return VoucherProvider()


class TestStandIn(NetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> StandInWorld:
        return StandInWorld(StandInBooks(tmp_path / "standin.db"))
